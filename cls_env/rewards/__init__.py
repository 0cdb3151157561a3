"""Rewards: matrices R[label, action], noise on them, and the reward model of an environment."""

from cls_env.rewards.matrices import cost_sensitive_rewards, hierarchical_rewards, zero_one_rewards
from cls_env.rewards.noise import register_reward_noise

__all__ = ["cost_sensitive_rewards", "hierarchical_rewards", "register_reward_noise", "zero_one_rewards"]

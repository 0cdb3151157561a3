"""Rewards: matrices R(x, a), noise on them, and the model that an environment asks."""

from cls_env.rewards.matrices import cost_sensitive_rewards, hierarchical_rewards, zero_one_rewards

__all__ = ["cost_sensitive_rewards", "hierarchical_rewards", "zero_one_rewards"]

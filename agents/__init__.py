"""Agents that learn to classify by policy gradient: pretrained vision transformers with small trainable modules."""

from agents.epg import EPG
from agents.objectives import OBJECTIVES
from agents.policy import ViTPolicy
from agents.policy_config import PolicyConfig
from agents.vec_env import GymnasiumVecEnv

__all__ = ["EPG", "OBJECTIVES", "GymnasiumVecEnv", "PolicyConfig", "ViTPolicy"]

"""Agents that learn to classify by policy gradient: pretrained vision transformers with small trainable modules."""

from agents.epg import EPG
from agents.objectives import OBJECTIVES
from agents.policy import PolicyConfig, ViTPolicy
from agents.vec_env import GymnasiumVecEnv

__all__ = ["EPG", "OBJECTIVES", "GymnasiumVecEnv", "PolicyConfig", "ViTPolicy"]

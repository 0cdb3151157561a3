"""Agents that learn to classify by policy gradient: pretrained vision transformers with small trainable modules."""

from agents.apply_options import ApplyOptions
from agents.best_pass import KeepBestPass
from agents.divergence import DivergedError
from agents.epg import EPG
from agents.features import ViTFeatures
from agents.image_replay import ImageReplayBuffer
from agents.linear_bandit import LinearBandit
from agents.objectives import OBJECTIVES
from agents.policy import ViTPolicy
from agents.policy_config import PolicyConfig
from agents.reinforce import Reinforce
from agents.value_bandit import ValueBandit
from agents.vec_env import GymnasiumVecEnv

__all__ = [
    "EPG",
    "OBJECTIVES",
    "ApplyOptions",
    "DivergedError",
    "GymnasiumVecEnv",
    "ImageReplayBuffer",
    "KeepBestPass",
    "LinearBandit",
    "PolicyConfig",
    "Reinforce",
    "ValueBandit",
    "ViTFeatures",
    "ViTPolicy",
]

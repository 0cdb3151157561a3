"""Agents that learn to classify by policy gradient: pretrained vision transformers with small trainable modules."""

from agents.algorithms.best_pass import KeepBestPass
from agents.algorithms.classification import Prediction
from agents.algorithms.epg import EPG
from agents.algorithms.exploration import register_exploration
from agents.algorithms.linear_bandit import LinearBandit
from agents.algorithms.load_agent import load_agent
from agents.algorithms.reinforce import Reinforce
from agents.algorithms.save_training import SaveTraining
from agents.algorithms.value_bandit import ValueBandit
from agents.earlier_names import provide_earlier_names
from agents.envs.apply_options import ApplyOptions
from agents.envs.device_env import DeviceVectorEnv
from agents.envs.vec_env import GymnasiumVecEnv
from agents.networks.config import PolicyConfig
from agents.objectives import OBJECTIVES
from agents.optimization.divergence import DivergedError
from agents.policy import ViTPolicy
from agents.sb3.features import ViTFeatures
from agents.sb3.policies import ViTActorCriticPolicy, ViTQPolicy
from agents.sb3.replay_buffer import ImageReplayBuffer
from agents.sb3.task_by_task import TaskByTask

__all__ = [
    "EPG",
    "OBJECTIVES",
    "ApplyOptions",
    "DeviceVectorEnv",
    "DivergedError",
    "GymnasiumVecEnv",
    "ImageReplayBuffer",
    "KeepBestPass",
    "LinearBandit",
    "PolicyConfig",
    "Prediction",
    "Reinforce",
    "SaveTraining",
    "TaskByTask",
    "ValueBandit",
    "ViTActorCriticPolicy",
    "ViTFeatures",
    "ViTPolicy",
    "ViTQPolicy",
    "load_agent",
    "register_exploration",
]

provide_earlier_names()

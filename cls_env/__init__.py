"""Image classification as reinforcement learning: Gymnasium environments over class-incremental streams of images."""

from cls_env.datasets import DATASETS, ImageDataset, from_arrays, load_dataset, register_dataset
from cls_env.envs.class_incremental import ClassIncrementalEnv
from cls_env.envs.registration import register_environments
from cls_env.envs.shared_evaluation import evaluation_episodes
from cls_env.envs.vector import ClassIncrementalVectorEnv
from cls_env.rewards.matrices import cost_sensitive_rewards, hierarchical_rewards
from cls_env.rewards.noise import register_reward_noise
from cls_env.tasks import Task, TaskSchedule, TaskStream

__all__ = [
    "DATASETS",
    "ClassIncrementalEnv",
    "ClassIncrementalVectorEnv",
    "ImageDataset",
    "Task",
    "TaskSchedule",
    "TaskStream",
    "cost_sensitive_rewards",
    "evaluation_episodes",
    "from_arrays",
    "hierarchical_rewards",
    "load_dataset",
    "register_dataset",
    "register_reward_noise",
]
__version__ = "0.1.0"

register_environments()

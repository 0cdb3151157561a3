"""stable-baselines3's PPO, A2C and DQN, and sb3-contrib's MaskablePPO, with their own `CnnPolicy` on the ViT.

python -m experiments.interop.sb3 --algorithm maskable-ppo
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import stable_baselines3
import torch
import tyro
from numpy.typing import NDArray
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm

from agents import GymnasiumVecEnv, ImageReplayBuffer, ViTFeatures
from experiments.interop.trial import ENV_ID, Outcome, TrialSettings, missing, share_right

try:
    import sb3_contrib
except ModuleNotFoundError as error:
    raise missing("sb3-contrib", extra="sb3") from error


@dataclass(frozen=True, kw_only=True)
class Sb3Settings(TrialSettings):
    """Settings of a trial and its algorithm; an algorithm ignores settings that it does not have."""

    algorithm: Literal["ppo", "a2c", "dqn", "maskable-ppo"] = "ppo"
    """PPO, A2C, DQN, or PPO that is told which classes are the task's."""


def make_algorithm(settings: Sb3Settings) -> BaseAlgorithm:
    """The algorithm on the native vector environment, which gives the reward of the chosen action alone."""
    env = GymnasiumVecEnv(gym.make_vec(ENV_ID, num_envs=settings.num_envs, feedback="bandit"))
    alike: dict[str, Any] = {
        "learning_rate": settings.learning_rate,
        "policy_kwargs": {"features_extractor_class": ViTFeatures, "net_arch": []},
        "seed": settings.seed,
        "device": "cpu",
    }
    if settings.algorithm == "dqn":
        return DQN(
            "CnnPolicy",
            env,
            batch_size=settings.minibatch_size,
            learning_starts=settings.rollout_size,
            train_freq=1,
            gradient_steps=settings.update_epochs,
            exploration_fraction=0.5,
            replay_buffer_class=ImageReplayBuffer,
            **alike,
        )
    alike |= {
        "n_steps": settings.rollout_size // settings.num_envs,
        "gamma": settings.gamma,
        "gae_lambda": settings.gae_lambda,
        "ent_coef": settings.entropy_coefficient,
        "vf_coef": settings.value_coefficient,
        "max_grad_norm": settings.max_grad_norm,
    }
    if settings.algorithm == "a2c":
        return A2C("CnnPolicy", env, use_rms_prop=False, **alike)
    kind = PPO if settings.algorithm == "ppo" else sb3_contrib.MaskablePPO
    alike |= {"n_epochs": settings.update_epochs, "batch_size": settings.minibatch_size, "clip_range": settings.clip}
    return kind("CnnPolicy", env, **alike)


def train(settings: Sb3Settings) -> Outcome:
    """Train on task 0 and test."""
    torch.manual_seed(settings.seed)
    model = make_algorithm(settings)
    started = time.perf_counter()
    model.learn(settings.steps)
    seconds = time.perf_counter() - started

    def greedy(images: NDArray[np.uint8]) -> NDArray[np.int64]:
        return model.predict(np.moveaxis(images, 3, 1), deterministic=True)[0]

    contrib = settings.algorithm == "maskable-ppo"
    version = f"sb3-contrib {sb3_contrib.__version__}" if contrib else f"SB3 {stable_baselines3.__version__}"
    return Outcome(f"{type(model).__name__} of {version}", model.num_timesteps, seconds, share_right(greedy))


if __name__ == "__main__":
    print(train(tyro.cli(Sb3Settings, prog="python -m experiments.interop.sb3")))

"""What the examples have in common: the environment, its test, and what is said at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

import cls_env  # noqa: F401  # registers the environment
from cls_env.arguments import whole_number

ENV_ID = "cls_env/SplitGlyphs-v0"
"""50 classes in five tasks; the first, on which all begin, has 10 classes and 200 training images."""


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """What all libraries call by other names."""

    steps: int = 4096
    """Environment steps in all."""
    num_envs: int = 32
    """Environments side by side."""
    rollout_size: int = 128
    """Environment steps between updates, of all environments together."""
    minibatch_size: int = 32
    """Images a gradient step."""
    update_epochs: int = 4
    """Passes over each rollout."""
    learning_rate: float = 3e-3
    """Adam's."""
    gamma: float = 0.99
    """Discount."""
    gae_lambda: float = 0.95
    """Of generalized advantage estimation, arXiv 1506.02438."""
    clip: float = 0.2
    """How far the probability ratio may leave 1."""
    entropy_coefficient: float = 0.01
    """Weight of the entropy bonus."""
    value_coefficient: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Gradients are clipped to it."""
    seed: int = 0
    """Of images, actions and initial weights."""

    def __post_init__(self) -> None:
        for name in ("steps", "num_envs", "rollout_size", "minibatch_size", "update_epochs"):
            whole_number(name, getattr(self, name), least=1)
        if self.rollout_size % self.num_envs:
            raise ValueError(f"rollout_size {self.rollout_size} is no multiple of the {self.num_envs} environments")
        if self.steps < self.rollout_size:
            raise ValueError(
                f"steps {self.steps} are less than one rollout of {self.rollout_size}: nothing would be learned"
            )


@dataclass(frozen=True)
class TrialResult:
    """What became of a training.

    Attributes:
        library: Whose PPO it was, with the version.
        steps: Environment steps, which are images, seen in training.
        seconds: What training took, rollouts and updates together.
        accuracy: Share of the task's test images that the greedy policy gets right; 2 % is chance.
    """

    library: str
    steps: int
    seconds: float
    accuracy: float

    def __str__(self) -> str:
        speed = self.steps / self.seconds
        return f"{self.library}: {self.steps} steps, {speed:.0f} a second, {self.accuracy:.1%} of test images right"


def accuracy_on_test_images(act: Callable[[NDArray[np.uint8]], NDArray[np.int64]]) -> float:
    """Classify all test images of task 0 at once.

    Args:
        act: The greedy policy, uint8 images of shape (N, H, W, 3) to actions of shape (N,).
    """
    options: dict[str, Any] = {"split": "test", "task": 0}
    _, info = gym.make(ENV_ID, **options).reset()
    test = gym.make_vec(ENV_ID, num_envs=info["epoch_length"], **options)
    images, _ = test.reset()
    _, rewards, *_ = test.step(act(images))
    return float(rewards.mean())


def missing_library(library: str, extra: str) -> ModuleNotFoundError:
    """What an example raises when it is imported without its library."""
    return ModuleNotFoundError(f"{library} is not installed: pip install 'cls-env[{extra}]'")

"""Noise on rewards, as from an unreliable evaluator: pure functions with a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from cls_env.arguments import number
from cls_env.registry import Registry
from cls_env.rewards.matrices import Rewards

LARGEST_DEVIATION = 1e36
"""Noise of this deviation stays within float32."""
RewardNoise = Callable[[Rewards, float, float, np.random.Generator], Rewards]
Definition = TypeVar("Definition", bound=Callable[..., Any])


def gaussian(
    rewards: Rewards, low: float, high: float, generator: np.random.Generator, deviation: float = 0.1
) -> Rewards:
    """Add a normal variable of mean 0 to each reward.

    Args:
        rewards: Of every action, float32 of shape (N, K).
        low: The smallest reward of the matrix.
        high: The largest reward of the matrix.
        generator: Draws one number for each entry.
        deviation: Standard deviation of the noise, at least 0.

    Returns:
        float32 of shape (N, K).

    Raises:
        ValueError: The deviation is out of [0, `LARGEST_DEVIATION`].
    """
    deviation = number("deviation", deviation, f"[0, {LARGEST_DEVIATION:g}]")
    return rewards + (deviation * generator.standard_normal(rewards.shape)).astype(np.float32)


def flip(
    rewards: Rewards, low: float, high: float, generator: np.random.Generator, probability: float = 0.1
) -> Rewards:
    """Mirror a reward within the range, r -> low + high - r, which exchanges rewards of 0 and 1.

    Source: Wang, Liu, Li, "Reinforcement Learning with Perturbed Rewards", AAAI 2020, https://arxiv.org/abs/1810.01032.

    Args:
        rewards: Of every action, float32 of shape (N, K).
        low: The smallest reward of the matrix.
        high: The largest reward of the matrix.
        generator: Draws one number for each entry.
        probability: Of mirroring an entry, in [0, 1]; entries are independent.

    Returns:
        float32 of shape (N, K).

    Raises:
        ValueError: The probability is outside [0, 1].
    """
    probability = number("probability", probability, "[0, 1]")
    swapped = generator.random(rewards.shape) < probability
    return np.where(swapped, np.float32(low + high) - rewards, rewards)


def _try_out(noise: RewardNoise) -> None:
    noise(np.zeros((1, 1), dtype=np.float32), 0.0, 1.0, np.random.default_rng(0))


REWARD_NOISES: Registry[Callable[..., Any]] = Registry(
    "reward noise",
    {"gaussian": gaussian, "flip": flip},
    inputs=("rewards", "low", "high", "generator"),
    try_out=_try_out,
)
"""Functions of (rewards, low, high, generator, **parameters)."""


def register_reward_noise(name: str) -> Callable[[Definition], Definition]:
    """A decorator that gives your reward noise a name, for the environments' argument `reward_noise`.

    It decorates a function of (rewards, low, high, generator, **parameters with defaults) that returns the noisy
    rewards, and returns it unchanged; `gaussian` describes its arguments.

    Args:
        name: Text without a colon that is not taken yet.

    Raises:
        ValueError: The name is taken or contains a colon.

    >>> @register_reward_noise("doubled")
    ... def doubled(rewards, low, high, generator, factor=2):
    ...     return factor * rewards
    >>> make_reward_noise("doubled:factor=3")(np.ones((1, 2), dtype=np.float32), 0, 1, np.random.default_rng())
    array([[3., 3.]], dtype=float32)
    >>> _ = REWARD_NOISES.pop("doubled")
    """
    return REWARD_NOISES.register(name)


def make_reward_noise(specification: str) -> RewardNoise:
    """The noise of a specification such as `"gaussian:deviation=0.2"` or `"flip"`.

    Raises:
        ValueError: The name or a parameter is unknown, or a parameter is out of range.
    """
    noise: RewardNoise = REWARD_NOISES.make(specification)
    return noise

"""Noise on the rewards themselves, as from an unreliable evaluate_batch: pure functions by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from cls_env.rewards.matrices import Rewards
from cls_env.specification import check_arguments, lookup, parse_specification

LARGEST_DEVIATION = 1e36
"""Noise of this deviation stays within float32."""
RewardNoise = Callable[[Rewards, float, float, np.random.Generator], Rewards]


def gaussian(
    rewards: Rewards, low: float, high: float, generator: np.random.Generator, deviation: float = 0.1
) -> Rewards:
    """Add a normal variable to each reward; its mean stays as it is.

    Args:
        rewards: Of every action, float32 of shape (N, K).
        low: The least reward of the matrix.
        high: The greatest.
        generator: Draws one number for each entry.
        deviation: Standard deviation of the noise, at least 0.

    Returns:
        float32 of shape (N, K).

    Raises:
        ValueError: The deviation is out of [0, `LARGEST_DEVIATION`].
    """
    if not 0 <= deviation <= LARGEST_DEVIATION:
        raise ValueError(f"deviation must be in 0 ... {LARGEST_DEVIATION:g}, not {deviation}")
    return rewards + (deviation * generator.standard_normal(rewards.shape)).astype(np.float32)


def flip(
    rewards: Rewards, low: float, high: float, generator: np.random.Generator, probability: float = 0.1
) -> Rewards:
    """Swap a reward with the other end of the range, r -> low + high - r: of 0 and 1, one for the other.

    Each entry is swapped or not by itself. Arguments and result are those of `gaussian`.
    Source: Wang, Liu, Li, "Reinforcement learning with perturbed rewards", AAAI 2020.

    Args:
        rewards: float32 of shape (N, K).
        low: The least reward of the matrix.
        high: The greatest.
        generator: Draws one number for each entry.
        probability: Of a swap, in [0, 1].

    Raises:
        ValueError: The probability is outside [0, 1].
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"probability must be in [0, 1], not {probability}")
    swapped = generator.random(rewards.shape) < probability
    return np.where(swapped, np.float32(low + high) - rewards, rewards)


REWARD_NOISES: dict[str, Callable[..., Rewards]] = {"gaussian": gaussian, "flip": flip}
"""Functions of (rewards, low, high, generator, **parameters)."""


def make_reward_noise(specification: str) -> RewardNoise:
    """The noise that a specification names: `"gaussian:deviation=0.2"`, `"flip"`.

    Raises:
        ValueError: The name or a parameter is unknown, or the parameter's value is out of range.
    """
    try:
        name, parameters = parse_specification(specification)
        function = lookup("reward noise", name, REWARD_NOISES)
        check_arguments(f"reward noise {name!r}", function, parameters, ("rewards", "low", "high", "generator"))
        noise = partial(function, **parameters)
        noise(np.zeros((1, 1), dtype=np.float32), 0.0, 1.0, np.random.default_rng(0))
    except (TypeError, ValueError) as error:
        raise ValueError(f"reward_noise {specification!r}: {error}") from error
    return noise

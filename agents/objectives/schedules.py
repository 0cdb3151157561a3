"""Schedules of alpha, the weight of cross-entropy in aEPG, over a task."""

from __future__ import annotations

import math

from cls_env.arguments import number

_LARGEST_EXPONENT = 700.0  # beyond 709 a float overflows


def sigmoid_alpha(progress: float, tau: float = 6.0) -> float:
    """The weight alpha_t = sigmoid(tau * (T - 2t) / T) of cross-entropy at step t of a task of T steps.

    Source: https://arxiv.org/abs/2602.14078, adaptive entropy annealing.

    Args:
        progress: t / T in [0, 1].
        tau: Steepness, at least 0; the paper's is 6.

    Returns:
        A weight in [0, 1]: with tau = 6, 0.9975 at the start, 0.5 half-way and 0.0025 at the end.

    Raises:
        ValueError: `progress` is outside [0, 1], or tau is negative or not finite.

    >>> [round(sigmoid_alpha(progress), 4) for progress in (0, 0.5, 1)]
    [0.9975, 0.5, 0.0025]
    """
    _check_progress(progress)
    tau = number("tau", tau, "[0, inf)")
    return 1 / (1 + math.exp(min(-tau * (1 - 2 * progress), _LARGEST_EXPONENT)))


def linear_alpha(progress: float) -> float:
    """The weight (T - t) / T, for progress t / T in [0, 1].

    Source: https://arxiv.org/abs/2602.14078, ablation of the schedules.

    Raises:
        ValueError: `progress` is outside [0, 1].
    """
    _check_progress(progress)
    return 1 - progress


def cosine_alpha(progress: float) -> float:
    """The weight (1 + cos(pi t / T)) / 2, for progress t / T in [0, 1].

    Source: https://arxiv.org/abs/2602.14078, ablation of the schedules.

    Raises:
        ValueError: `progress` is outside [0, 1].
    """
    _check_progress(progress)
    return (1 + math.cos(math.pi * progress)) / 2


def unfrozen_progress(progress: float, frozen_share: float) -> float:
    """Progress within the part of a task in which the PEFT module is trained; 0 while it is frozen.

    Args:
        progress: t / T of the task, in [0, 1].
        frozen_share: The first part of the task, in which the module is frozen, as a share in [0, 1].

    >>> [round(unfrozen_progress(progress, 0.6), 2) for progress in (0.3, 0.6, 0.8)]
    [0.0, 0.0, 0.5]
    """
    return max(0.0, (progress - frozen_share) / (1 - frozen_share)) if frozen_share < 1 else 0.0


def _check_progress(progress: float) -> None:
    if not 0 <= progress <= 1:
        raise ValueError(f"progress must be t / T in [0, 1], not {progress}")

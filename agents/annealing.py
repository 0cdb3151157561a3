"""How aEPG's weight on cross-entropy falls over a task."""

from __future__ import annotations

import math


def sigmoid_alpha(progress: float, tau: float = 6.0) -> float:
    """The weight alpha_t = sigmoid(tau * (T - 2t) / T) of cross-entropy at step t of a task of T steps.

    Source: arXiv 2602.14078, adaptive entropy annealing.

    Args:
        progress: t / T in [0, 1].
        tau: Steepness, at least 0; the paper's is 6.

    Returns:
        A weight in (0, 1): with tau = 6, 0.9975 at the start, 0.5 half-way and 0.0025 at the end.

    Raises:
        ValueError: `progress` is outside [0, 1].

    >>> [round(sigmoid_alpha(progress), 4) for progress in (0, 0.5, 1)]
    [0.9975, 0.5, 0.0025]
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"progress is t / T in [0, 1], not {progress}")
    return 1 / (1 + math.exp(-tau * (1 - 2 * progress)))

"""Means over seeds, and paired differences with intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


class Interval(NamedTuple):
    """A mean with the ends of its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def paired_difference(contender: ArrayLike, baseline: ArrayLike) -> Interval:
    """The mean of contender - baseline, pair by pair, with Student's t interval of 95 %.

    Args:
        contender: One value for each seed, shape (S,).
        baseline: The same seeds in the same order.

    Returns:
        The interval; its ends are NaN for a single pair, and equal to the mean where all differences are the same.

    >>> paired_difference([3.0, 4.0, 5.0], [1.0, 1.0, 1.0])
    Interval(mean=3.0, low=0.516, high=5.484)
    """
    differences = np.asarray(contender, dtype=float) - np.asarray(baseline, dtype=float)
    mean, count = float(differences.mean()), len(differences)
    if count < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(stats.t.ppf(0.975, count - 1) * differences.std(ddof=1) / np.sqrt(count))
    return Interval(round(mean, 3), round(mean - half, 3), round(mean + half, 3))

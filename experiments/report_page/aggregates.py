"""Aggregates over seeds in addition to means: interquartile means and the probability of improvement.

Source: Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021
(https://arxiv.org/abs/2108.13264), whose library is rliable.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from experiments.reports.statistics import FEWEST_FOR_BOOTSTRAP

RESAMPLES = 2000
"""Bootstrap resamples of an interquartile mean."""
CUT = 0.25
"""Share of the values that an interquartile mean leaves out at each end."""


def interquartile_means(values: ArrayLike) -> NDArray[np.float64]:
    """The interquartile mean over seeds of several measures, with its percentile bootstrap interval of 95 %.

    With fewer than 4 seeds no value is left out, and it is the mean.

    Args:
        values: One row for each measure, one column for each seed, shape (M, S), without NaN.

    Returns:
        Interquartile mean, low and high of each measure, shape (M, 3). The ends are NaN below `FEWEST_FOR_BOOTSTRAP`
        seeds, for which a bootstrap gives too narrow intervals, and where all seeds have the same value.

    >>> interquartile_means([[1.0, 2.0, 4.0, 90.0]])[:, 0].tolist()
    [3.0]
    """
    table = np.asarray(values, dtype=float)
    middle = _middle_mean(table, axis=1)
    ends = np.full((2, len(table)), np.nan)
    spread = ~np.isclose(table, table[:, :1]).all(axis=1)
    if spread.any() and table.shape[1] >= FEWEST_FOR_BOOTSTRAP:
        found = stats.bootstrap(
            (table[spread],),
            _middle_mean,
            axis=1,
            n_resamples=RESAMPLES,
            method="percentile",
            random_state=np.random.default_rng(0),
        ).confidence_interval
        ends[:, spread] = found.low, found.high
    return np.column_stack([middle, *ends])


def _middle_mean(values: Any, axis: int) -> Any:
    return stats.trim_mean(values, CUT, axis=axis)


def probability_of_larger(contender: ArrayLike, baseline: ArrayLike) -> float:
    """The probability that a run of the contender has a larger value than a run of the baseline, ties counting half.

    It compares every run of the one with every run of the other: the Mann-Whitney statistic as a share.

    Args:
        contender: One value for each seed, shape (S,).
        baseline: One value for each seed, shape (R,).

    Returns:
        A number in [0, 1]; NaN if either has no value.

    >>> probability_of_larger([2.0, 3.0], [1.0, 2.0])
    0.875
    """
    first, second = np.asarray(contender, dtype=float), np.asarray(baseline, dtype=float)
    if not (len(first) and len(second)):
        return float("nan")
    larger, equal = first[:, None] > second, first[:, None] == second
    return float((larger + 0.5 * equal).mean())

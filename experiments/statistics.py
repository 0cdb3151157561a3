"""Means over seeds, paired differences, and how sure both are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

RESAMPLES = 9999


class Interval(NamedTuple):
    """A mean with the ends of its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap_interval(values: ArrayLike) -> Interval:
    """The mean over seeds with its percentile bootstrap interval of 95 %, from resamples with a fixed seed.

    With few seeds it is narrower than Student's: it knows no value beyond the smallest and the largest seen.

    Args:
        values: One value for each seed, shape (S,).

    Returns:
        The interval; its ends are NaN for a single value, and all three are for none.

    >>> bootstrap_interval([2.0, 2.0, 2.0])
    Interval(mean=2.0, low=2.0, high=2.0)
    """
    sample = np.asarray(values, dtype=float)
    if len(sample) < 2:
        return Interval(float(sample[0]) if len(sample) else float("nan"), float("nan"), float("nan"))
    found = stats.bootstrap(
        (sample,), np.mean, n_resamples=RESAMPLES, method="percentile", random_state=np.random.default_rng(0)
    ).confidence_interval
    return Interval(float(sample.mean()), float(found.low), float(found.high))


def paired_difference(contender: ArrayLike, baseline: ArrayLike) -> Interval:
    """The mean of contender - baseline, pair by pair, with Student's t interval of 95 %.

    Args:
        contender: One value for each seed, shape (S,).
        baseline: The same seeds in the same order.

    Returns:
        The interval; its ends are NaN for a single pair, and where all differences are the same: two seeds that agree
        to the last image do not make a mean certain.

    >>> [round(value, 3) for value in paired_difference([3.0, 4.0, 5.0], [1.0, 1.0, 1.0])]
    [3.0, 0.516, 5.484]
    """
    differences = np.asarray(contender, dtype=float) - np.asarray(baseline, dtype=float)
    count = len(differences)
    mean = float(differences.mean()) if count else float("nan")
    if _without_spread(differences):
        return Interval(mean, float("nan"), float("nan"))
    half = float(stats.t.ppf(0.975, count - 1) * differences.std(ddof=1) / np.sqrt(count))
    return Interval(mean, mean - half, mean + half)


def paired_p_value(contender: ArrayLike, baseline: ArrayLike) -> float:
    """Two-sided p of the paired t-test that the mean of contender - baseline is 0; not corrected for many comparisons.

    A rank test is not offered: with five seeds Wilcoxon's p can't be below 0.0625.

    Args:
        contender: One value for each seed, shape (S,).
        baseline: The same seeds in the same order.

    Returns:
        p in [0, 1]; NaN for a single pair, or where all differences are the same.

    >>> round(paired_p_value([3.0, 4.0, 5.0], [1.0, 1.0, 1.0]), 4)
    0.0351
    """
    first, second = np.asarray(contender, dtype=float), np.asarray(baseline, dtype=float)
    if _without_spread(first - second):
        return float("nan")
    return float(stats.ttest_rel(first, second).pvalue)


def _without_spread(differences: NDArray[np.float64]) -> bool:
    """Whether there are fewer than two, or all are the same but for rounding: how sure the mean is can't be told."""
    return len(differences) < 2 or bool(np.allclose(differences, differences[0]))


def statistics_table(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Every measure of every contender as numbers, a row each.

    Args:
        runs: One row a run, as `run_all` returns them; each numeric column but the seed is a measure.
        baseline: The contender from whom the others are subtracted, seed by seed.

    Returns:
        condition, contender, measure, seeds (that have it), mean, std (over seeds), low and high (bootstrap, of the
        mean), difference, difference_low, difference_high (Student's, paired) and p, in the units of `metrics.json`:
        accuracies are shares, not points.
    """
    measures = [column for column in runs.select_dtypes("number").columns if column != "seed"]
    rows = []
    for condition, here in runs.groupby("condition", sort=False):
        reference = by_seed(here, baseline)
        for contender in here["contender"].unique():
            group = by_seed(here, contender)
            for measure in measures:
                values = group[measure].dropna()
                interval = bootstrap_interval(values)
                row = {"condition": condition, "contender": contender, "measure": measure, "seeds": len(values)}
                row |= {"mean": interval.mean, "std": values.std(ddof=1), "low": interval.low, "high": interval.high}
                rows.append(row | _difference(values, reference[measure], contender == baseline))
    return pd.DataFrame(rows)


def by_seed(runs: pd.DataFrame, contender: str) -> pd.DataFrame:
    """A contender's runs in the order of their seeds, which are the index."""
    return runs[runs["contender"] == contender].set_index("seed").sort_index()


def _difference(values: pd.Series[float], reference: pd.Series[float], itself: bool) -> dict[str, float]:
    pairs = pd.concat([values, reference], axis=1, join="inner", keys=["contender", "baseline"]).dropna()
    if itself or pairs.empty:
        return dict.fromkeys(("difference", "difference_low", "difference_high", "p"), float("nan"))
    found = paired_difference(pairs["contender"], pairs["baseline"])
    p = paired_p_value(pairs["contender"], pairs["baseline"])
    return {"difference": found.mean, "difference_low": found.low, "difference_high": found.high, "p": p}

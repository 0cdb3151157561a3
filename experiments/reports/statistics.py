"""Means over seeds and paired differences, with confidence intervals and p values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

RESAMPLES = 9999
FEWEST_FOR_BOOTSTRAP = 8
"""Seeds from which on a mean has a bootstrap interval; with fewer it covers too little, see `mean_interval`."""


class Interval(NamedTuple):
    """A mean with the ends of its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def mean_interval(values: ArrayLike) -> Interval:
    """The mean over seeds with its interval of 95 %: Student's t below `FEWEST_FOR_BOOTSTRAP` seeds, else a bootstrap.

    The bootstrap is the percentile one, from resamples with a fixed seed. It never exceeds the range of the
    values, so with few seeds it is too narrow: of normal values it covers the mean in 72, 83 and 90 % of samples
    of 3, 5 and 8, by simulation.

    Args:
        values: One value for each seed, shape (S,).

    Returns:
        The interval; its ends are NaN for a single value and where all are the same, and all three are for none.

    >>> [round(value, 3) for value in mean_interval([2.0, 3.0, 4.0])]
    [3.0, 0.516, 5.484]
    """
    sample = np.asarray(values, dtype=float)
    if len(sample) < FEWEST_FOR_BOOTSTRAP or _without_spread(sample):
        return _student_interval(sample)
    found = stats.bootstrap(
        (sample,), np.mean, n_resamples=RESAMPLES, method="percentile", random_state=np.random.default_rng(0)
    ).confidence_interval
    return Interval(float(sample.mean()), float(found.low), float(found.high))


def paired_difference(contender: ArrayLike, baseline: ArrayLike) -> Interval:
    """The mean of contender - baseline, pair by pair, with Student's t interval of 95 %, whatever the number of pairs.

    Args:
        contender: One value for each seed, shape (S,).
        baseline: The same seeds in the same order.

    Returns:
        The interval, not corrected for many comparisons; its ends are NaN for a single pair, and where all differences
        are the same: two seeds that agree to the last image do not make a mean certain.

    >>> [round(value, 3) for value in paired_difference([3.0, 4.0, 5.0], [1.0, 1.0, 1.0])]
    [3.0, 0.516, 5.484]
    """
    return _student_interval(np.asarray(contender, dtype=float) - np.asarray(baseline, dtype=float))


def _student_interval(sample: NDArray[np.float64]) -> Interval:
    """The mean with Student's t interval of 95 %. The ends are NaN without spread."""
    mean = float(sample.mean()) if len(sample) else float("nan")
    if _without_spread(sample):
        return Interval(mean, float("nan"), float("nan"))
    half = float(stats.t.ppf(0.975, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample)))
    return Interval(mean, mean - half, mean + half)


def paired_p_value(contender: ArrayLike, baseline: ArrayLike) -> float:
    """Two-sided p of the paired t-test that the mean of contender - baseline is 0, not corrected.

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


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Correct p values for their number, so that they bound the chance of any false difference among all of them.

    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 1979.

    Args:
        p_values: Of all tests of a family, shape (N,); NaN where there was no test, which counts for nothing.

    Returns:
        The corrected values in the same order, shape (N,).

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=float)
    tested = np.flatnonzero(~np.isnan(given))
    ascending = tested[np.argsort(given[tested], kind="stable")]
    steps = given[ascending] * np.arange(len(ascending), 0, -1)
    corrected = np.full(given.shape, np.nan)
    corrected[ascending] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def _without_spread(sample: NDArray[np.float64]) -> bool:
    """Whether there are fewer than two values or all are equal up to rounding: such a mean has no interval."""
    return len(sample) < 2 or bool(np.allclose(sample, sample[0]))


def statistics_table(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Statistics of every measure of every contender, a row each.

    Args:
        runs: One row a run, as `run_all` returns them; each numeric column but the seed is a measure.
        baseline: The contender that is subtracted from the others, seed by seed.

    Returns:
        condition, contender, measure, seeds (that have it), mean, std (over seeds), low and high (`mean_interval`),
        difference, difference_low, difference_high (Student's, paired), p (of the paired t-test) and p_holm (corrected
        for all differences of the measure, over conditions and contenders), in the units of `metrics.json`: accuracies
        are shares, not points.
    """
    measures = [column for column in runs.select_dtypes("number").columns if column != "seed"]
    rows = []
    for condition, here in runs.groupby("condition", sort=False):
        reference = by_seed(here, baseline)
        for contender in here["contender"].unique():
            group = by_seed(here, contender)
            for measure in measures:
                values = group[measure].dropna()
                interval = mean_interval(values)
                row = {"condition": condition, "contender": contender, "measure": measure, "seeds": len(values)}
                row |= {"mean": interval.mean, "std": values.std(ddof=1), "low": interval.low, "high": interval.high}
                rows.append(row | _difference(values, reference[measure], contender == baseline))
    table = pd.DataFrame(rows)
    return table.assign(p_holm=table.groupby("measure")["p"].transform(holm))


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

"""How the lead of an objective over the baseline changes from one condition to another, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from experiments.reports.statistics import Interval, by_seed, holm, paired_difference, paired_p_value

Change = tuple[str, str]
"""Two conditions: the one in which a lead should be larger, and the one with which it is compared."""


def gain(runs: pd.DataFrame, condition: str, contender: str, baseline: str = "ce") -> pd.Series[float]:
    """A_T of a contender less the baseline's under a condition, in points, by seed."""
    here = runs[runs["condition"] == condition]
    leads = by_seed(here, contender)["final_accuracy"] - by_seed(here, baseline)["final_accuracy"]
    return 100 * leads.dropna()


def changes_of_gains(runs: pd.DataFrame, changes: Sequence[Change], baseline: str = "ce") -> pd.DataFrame:
    """Test whether leads over the baseline are larger under one condition than under another.

    Args:
        runs: One row a run: condition, contender, seed, final_accuracy.
        changes: Pairs of conditions; those that are not among the runs are left out.
        baseline: The contender that is subtracted.

    Returns:
        As text: objective, both conditions, the lead under each, the difference of the leads with Student's 95 %
        interval over seeds, and the p of the paired t-test with Holm's correction for all rows.
    """
    known = set(runs["condition"])
    rows, p_values = [], []
    for larger, smaller in changes:
        if not {larger, smaller} <= known:
            continue
        for contender in runs["contender"].unique():
            if contender == baseline:
                continue
            pairs = pd.concat([gain(runs, each, contender, baseline) for each in (larger, smaller)], axis=1).dropna()
            here, there = pairs.iloc[:, 0], pairs.iloc[:, 1]
            p_values.append(paired_p_value(here, there))
            rows.append(
                {
                    "objective": contender,
                    "condition": larger,
                    "compared with": smaller,
                    "lead": f"{here.mean():+.1f}",
                    "lead there": f"{there.mean():+.1f}",
                    "change [95 %]": _spelled(paired_difference(here, there)),
                }
            )
    corrected = ["" if np.isnan(p) else f"{p:.3f}" for p in holm(p_values)]
    return pd.DataFrame(rows).assign(**{"p (Holm)": corrected}) if rows else pd.DataFrame()


def _spelled(interval: Interval) -> str:
    ends = "" if np.isnan(interval.low) else f" [{interval.low:+.1f}, {interval.high:+.1f}]"
    return f"{interval.mean:+.1f}{ends}"

"""Paired tests of how the lead of an objective over CE changes from one condition to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from experiments.reports.numbers import rounded
from experiments.reports.statistics import by_seed, holm, paired_difference, paired_p_value
from experiments.reports.tables import p_value
from experiments.studies.figures import minus_baseline

Change = tuple[str, str]
"""Two conditions: the one in which a lead is predicted to be larger, and the one with which it is compared."""

BASELINE = "ce"
EXPLANATION = (
    "A lead is A_T less that of CE in points, the mean over seeds. A change is the lead under the condition less the "
    "lead under the other condition, seed by seed, with Student's 95 % interval. p is of the two-sided paired t-test, "
    "with Holm's correction for all rows of this table."
)


def gain(runs: pd.DataFrame, condition: str, contender: str) -> pd.Series[float]:
    """A_T of a contender less that of CE under a condition, in points, by seed."""
    leads = minus_baseline(runs[runs["condition"] == condition], BASELINE)
    return 100 * by_seed(leads, contender)["final_accuracy"]


def changes_of_gains(runs: pd.DataFrame, changes: Sequence[Change], contenders: Sequence[str]) -> pd.DataFrame:
    """Test whether leads over CE change from one condition to another.

    Args:
        runs: One row a run: condition, contender, seed, final_accuracy.
        changes: Pairs of conditions.
        contenders: Those whose leads are tested; CE is left out.

    Returns:
        As text, see `EXPLANATION`: objective, both conditions, the lead under each, the change, p, and the number of
        seeds.
    """
    rows, p_values = [], []
    for condition, other in changes:
        for contender in (name for name in contenders if name != BASELINE):
            pairs = pd.concat([gain(runs, each, contender) for each in (condition, other)], axis=1).dropna()
            lead, compared = pairs.iloc[:, 0], pairs.iloc[:, 1]
            p_values.append(paired_p_value(lead, compared))
            rows.append(
                {
                    "objective": contender,
                    "condition": condition,
                    "lead": _points(lead.mean()),
                    "other condition": other,
                    "lead under it": _points(compared.mean()),
                    "change [95 %]": _with_interval(lead, compared),
                    "seeds": len(pairs),
                }
            )
    return pd.DataFrame(rows).assign(**{"p (Holm)": [p_value(p) for p in holm(p_values)]})


def changes_table(
    name: str, runs: pd.DataFrame, changes: Sequence[Change], contenders: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """The table of `changes_of_gains` by its name, or no table if there is nothing to compare."""
    table = changes_of_gains(runs, changes, contenders)
    return {name: table} if len(table) else {}


def _points(value: float) -> str:
    return "" if np.isnan(value) else rounded(value, sign="+")


def _with_interval(first: pd.Series[float], second: pd.Series[float]) -> str:
    found = paired_difference(first, second)
    ends = "" if np.isnan(found.low) else f" [{_points(found.low)}, {_points(found.high)}]"
    return f"{_points(found.mean)}{ends}"

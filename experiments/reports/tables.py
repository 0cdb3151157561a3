"""Tables of a comparison: for the terminal, as Markdown, LaTeX and CSV."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from experiments.files import replace_file, write_text
from experiments.reports.statistics import FEWEST_FOR_BOOTSTRAP, Interval, by_seed, paired_difference, statistics_table

MEASURES = {
    "final_accuracy": ("A_T %", 100.0),
    "average_accuracy": ("avg. A %", 100.0),
    "forgetting": ("forgetting", 100.0),
    "task_aware_accuracy": ("task named %", 100.0),
    "final_accuracy_over_images": ("A_T images %", 100.0),
    "test_entropy": ("entropy", 1.0),
    "task_test_entropy": ("within task", 1.0),
    "train_entropy": ("in training", 1.0),
    "validation_accuracy": ("validation %", 100.0),
    "validation_accuracy_clean": ("true labels %", 100.0),
    "train_accuracy_clean": ("clean %", 100.0),
    "train_accuracy_flipped": ("memorised %", 100.0),
    "train_recovered": ("recovered %", 100.0),
    "parameter_distance": ("moved", 1.0),
    "mean_regret": ("regret %", 100.0),
    "training_seconds": ("seconds", 1.0),
    "ece": ("ECE %", 100.0),
    "nll": ("NLL", 1.0),
}
"""Heading of a measure's column, and what its numbers are multiplied by there: 100 for shares."""

LEGEND = (
    "Mean ± standard deviation over seeds; differences are paired by seed, with Student's 95 % interval, not corrected "
    "for the number of comparisons."
)
INTERVAL, P, P_HOLM = "95 % interval", "p", "p (Holm)"
EXPLANATIONS = {
    INTERVAL: f"{INTERVAL}: of the mean before it, Student's below {FEWEST_FOR_BOOTSTRAP} seeds, a percentile "
    f"bootstrap from {FEWEST_FOR_BOOTSTRAP} on.",
    "A_T images %": "A_T images %: the accuracy over all test images, each weighing alike, where A_T weighs tasks "
    "alike.",
    "task named %": "task named %: the same accuracy as A_T, but with the task of the image given; the gap to A_T is "
    "confusion between tasks.",
    "ECE %": "ECE: expected calibration error.",
    P: f"{P}: of the paired t-test, not corrected.",
    P_HOLM: f"{P_HOLM}: corrected for all differences of the table by Holm's method.",
}
"""What a column means, for the tables that have it."""

SHOWN = (
    "final_accuracy",
    "average_accuracy",
    "forgetting",
    "task_aware_accuracy",
    "ece",
    "test_entropy",
)
"""The measures of a comparison's table; the first is the one whose differences are shown."""
ROUNDING = 1e-5
"""Two shares that differ by less are the same: `runs.csv` has six digits."""


def summary_table(runs: pd.DataFrame, baseline: str, measures: Sequence[str] = SHOWN) -> pd.DataFrame:
    """A row for each condition and contender, as text.

    Args:
        runs: One row a run, as `run_all` returns them.
        baseline: The contender from whom the others' first measure is subtracted, seed by seed.
        measures: Keys of `MEASURES`; one that no run has, such as of flipped labels where none are, is left empty.
            The accuracy over images stands beside A_T where the two differ.

    Returns:
        Mean and standard deviation over seeds of each measure (accuracies and forgetting in points, entropies in
        nats), and the paired difference of the first with its 95 % interval.
    """
    rows = []
    measures = _with_accuracy_over_images(runs, measures)
    runs = runs.reindex(columns=list(dict.fromkeys([*runs.columns, *measures])))
    for condition in runs["condition"].unique():
        here = runs[runs["condition"] == condition]
        reference = by_seed(here, baseline)
        for contender in here["contender"].unique():
            group = by_seed(here, contender)
            row = {"condition": condition, "contender": contender, "seeds": str(len(group))}
            row |= {MEASURES[key][0]: _spread(group[key].dropna(), MEASURES[key][1]) for key in measures}
            factor = MEASURES[measures[0]][1]
            difference = paired_difference(factor * group[measures[0]], factor * reference[measures[0]])
            row[f"vs {baseline} [95 %]"] = "" if contender == baseline else _signed(difference)
            rows.append(row)
    return pd.DataFrame(rows)


def _with_accuracy_over_images(runs: pd.DataFrame, measures: Sequence[str]) -> list[str]:
    """The measures, with the accuracy over images after A_T where the two differ in any run."""
    over_images, over_tasks = "final_accuracy_over_images", "final_accuracy"
    if over_images not in runs or over_tasks not in measures or over_images in measures:
        return list(measures)
    apart = (runs[over_images].astype(float) - runs[over_tasks]).abs() > ROUNDING  # never where a run has none
    place = list(measures).index(over_tasks) + 1
    return [*measures[:place], *([over_images] if apart.any() else []), *measures[place:]]


def _signed(difference: Interval) -> str:
    """A difference with its interval where it has one; what rounds to nothing is +0.0."""
    mean, low, high = (f"{round(end, 1) + 0.0:+.1f}" for end in difference)
    return mean if np.isnan(difference.low) else f"{mean} [{low}, {high}]"


def _spread(values: pd.Series[float], factor: float) -> str:
    """Mean ± standard deviation; nothing where no run has the measure."""
    if values.empty:
        return ""
    digits = 1 if factor > 1 else 2
    spread = f" ± {factor * values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{factor * values.mean():.{digits}f}{spread}"


def write_report(
    runs: pd.DataFrame,
    baseline: str,
    folder: Path,
    command: str,
    measures: Sequence[str] = SHOWN,
    introduction: str = "",
) -> pd.DataFrame:
    """Write `runs.csv`, `statistics.csv`, `summary.csv`, `table.tex` and `table.md`, and return the table.

    Args:
        runs: One row a run, as `run_all` returns them.
        baseline: The contender from whom the others are subtracted.
        folder: Where the files go.
        command: What made them; `table.md` names it.
        measures: Keys of `MEASURES`, for the table.
        introduction: Markdown above the table.
    """
    table = summary_table(runs, baseline, measures)
    lists = [column for column in runs if runs[column].map(lambda value: isinstance(value, list)).any()]
    details = runs.drop(columns=[*lists, "folder"], errors="ignore")
    replace_file(folder / "runs.csv", lambda aside: details.to_csv(aside, index=False, float_format="%.6g"))
    numbers = statistics_table(runs, baseline)
    replace_file(folder / "statistics.csv", lambda aside: numbers.to_csv(aside, index=False, float_format="%.6g"))
    replace_file(folder / "summary.csv", lambda aside: table.to_csv(aside, index=False))
    full = with_tests(table, numbers, measures[0])
    write_text(folder / "table.tex", latex(full))
    above = f"{introduction}\n\n" if introduction else ""
    write_text(folder / "table.md", f"{above}{markdown(full)}\n\n{legend(full)} Made by `{command}`.\n")
    return table


def with_tests(table: pd.DataFrame, numbers: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The table with three columns more: the interval of its first measure, and the test's p, as it is and corrected.

    Args:
        table: Of `summary_table`.
        numbers: Of `statistics_table`, of the same runs.
        measure: The key of the table's first measure.
    """
    title, factor = MEASURES[measure]
    of = numbers[numbers["measure"] == measure].set_index(["condition", "contender"])
    cells = list(zip(table["condition"], table["contender"], strict=True))
    ends = [(factor * of.loc[cell, "low"], factor * of.loc[cell, "high"]) for cell in cells]
    intervals = ["" if np.isnan(low) else f"[{low:.1f}, {high:.1f}]" for low, high in ends]
    full = table.copy()
    full.insert(list(table.columns).index(title) + 1, INTERVAL, intervals)
    full[P] = [_p_value(of.loc[cell, "p"]) for cell in cells]
    full[P_HOLM] = [_p_value(of.loc[cell, "p_holm"]) for cell in cells]
    return full


def _p_value(p: float) -> str:
    """To three digits; nothing where there was no test."""
    return "" if np.isnan(p) else f"{p:.3f}" if p >= 0.0005 else "<0.001"


def legend(table: pd.DataFrame) -> str:
    """What the cells of a table of contenders are, in words, and what those of its columns mean that need it."""
    return " ".join([LEGEND, *(words for column, words in EXPLANATIONS.items() if column in table)])


def markdown(table: pd.DataFrame) -> str:
    r"""A GitHub table; a bar in a name does not end its cell, nor a line break the row.

    >>> print(markdown(pd.DataFrame({"contender": ["a|b"]})))
    | contender |
    | --- |
    | a\|b |
    """
    lines: list[Iterable[Any]] = [table.columns, ["---"] * len(table.columns), *table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: Any) -> str:
    return " ".join(str(value).splitlines()).replace("|", r"\|")


def latex(table: pd.DataFrame) -> str:
    """A LaTeX tabular with the rules of the booktabs package; special characters are escaped, signs typeset."""
    style = table.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis="columns")
    text = style.to_latex(hrules=True).replace("±", r"$\pm$").replace("<", "$<$")
    return re.sub(r"(?<=[ \[])-(?=\d)", "$-$", text)


def rich_tables(table: pd.DataFrame) -> list[Table]:
    """The same for the terminal: a table for each condition, and contenders by their short labels."""
    columns = [column for column in table.columns if column not in ("condition", "seeds")]
    short = table.assign(contender=table["contender"].map(label_of))
    shown = []
    for condition, group in short.groupby("condition", sort=False):
        style: dict[str, Any] = {"box": SIMPLE_HEAD, "show_edge": False, "padding": 0}
        shown.append(Table(title=f"\n{condition}", title_justify="left", **style))
        for column in columns:
            shown[-1].add_column(column, no_wrap=True)
        for row in group[columns].itertuples(index=False):
            shown[-1].add_row(*map(str, row))
    return shown


def label_of(contender: str) -> str:
    """A specification without the names of its parameters; other names as they are.

    >>> label_of("reinforce:samples=1,baseline=running-mean"), label_of("ce")
    ('reinforce 1, running-mean', 'ce')
    """
    name, colon, parameters = contender.partition(":")
    return f"{name} {', '.join(re.findall(r'=([^,]+)', parameters))}" if colon else contender

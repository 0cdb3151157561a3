"""Tables of a comparison: for the terminal, as Markdown, LaTeX and CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from experiments.files import replace_file, write_text
from experiments.reports.captions import seeds_of
from experiments.reports.display_names import display_name, short_name
from experiments.reports.latex import latex, table_caption, with_arrows
from experiments.reports.numbers import rounded
from experiments.reports.statistics import FEWEST_FOR_BOOTSTRAP, Interval, by_seed, paired_difference, statistics_table
from experiments.runs.measure import Measure
from experiments.runs.measures import MEASURES, columns

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
"""What a column means, for tables that have it."""

DEFAULT_COLUMNS = columns(
    "final_accuracy", "average_accuracy", "forgetting", "task_aware_accuracy", "ece", "test_entropy"
)
"""Measures of a comparison's table by default; differences are of the first."""
NAMED = ("condition", "contender", "method and objective", "method", "objective")
"""Columns of tables that hold ids."""
ROUNDING = 1e-5
"""Two shares that differ by less are the same: `runs.csv` has six digits."""
_BASELINE = re.compile(r"(?<=^vs ).+(?= \[95 %\]$)")


def summary_table(runs: pd.DataFrame, baseline: str, measures: Sequence[Measure] = DEFAULT_COLUMNS) -> pd.DataFrame:
    """Summarize the runs: a row for each condition and contender, as text.

    Args:
        runs: One row a run, as `run_all` returns them.
        baseline: The contender whose first measure is subtracted from that of the others, seed by seed.
        measures: The columns. A measure that no run has is left empty. The accuracy over images is added after A_T if
            the two differ.

    Returns:
        Mean and standard deviation over seeds of each measure, times its factor, and the paired difference of the first
        measure with its 95 % interval.
    """
    rows = []
    measures = _with_accuracy_over_images(runs, measures)
    first = measures[0]
    runs = runs.reindex(columns=list(dict.fromkeys([*runs.columns, *(measure.name for measure in measures)])))
    for condition in runs["condition"].unique():
        here = runs[runs["condition"] == condition]
        reference = by_seed(here, baseline)
        for contender in here["contender"].unique():
            group = by_seed(here, contender)
            row = {"condition": condition, "contender": contender, "seeds": str(len(group))}
            row |= {each.heading: _spread(group[each.name].dropna(), each.factor) for each in measures}
            difference = paired_difference(first.factor * group[first.name], first.factor * reference[first.name])
            itself_or_nothing = contender == baseline or np.isnan(difference.mean)
            row[f"vs {baseline} [95 %]"] = "" if itself_or_nothing else _signed(difference)
            rows.append(row)
    return pd.DataFrame(rows)


def _with_accuracy_over_images(runs: pd.DataFrame, measures: Sequence[Measure]) -> list[Measure]:
    """The measures, with the accuracy over images after A_T if the two differ in any run."""
    over_tasks, over_images = columns("final_accuracy", "final_accuracy_over_images")
    if over_images.name not in runs or over_tasks not in measures or over_images in measures:
        return list(measures)
    apart = (runs[over_images.name].astype(float) - runs[over_tasks.name]).abs() > ROUNDING  # NaN if a run has none
    place = list(measures).index(over_tasks) + 1
    return [*measures[:place], *([over_images] if apart.any() else []), *measures[place:]]


def _signed(difference: Interval) -> str:
    """A difference with its interval, if it has one. Zero is +0.0."""
    mean, low, high = (rounded(end, sign="+") for end in difference)
    return mean if np.isnan(difference.low) else f"{mean} [{low}, {high}]"


def _spread(values: pd.Series[float], factor: float) -> str:
    """Mean ± standard deviation, or nothing if no run has the measure."""
    if values.empty:
        return ""
    digits = 1 if factor > 1 else 2
    spread = f" ± {rounded(factor * values.std(ddof=1), digits)}" if len(values) > 1 else ""
    return f"{rounded(factor * values.mean(), digits)}{spread}"


def write_report(
    runs: pd.DataFrame,
    baseline: str,
    folder: Path,
    command: str,
    measures: Sequence[Measure] = DEFAULT_COLUMNS,
    introduction: str = "",
    shown: Sequence[Measure] = (),
    dataset: str = "",
) -> pd.DataFrame:
    """Write `runs.csv`, `statistics.csv`, `summary.csv`, `table.tex` and `table.md`.

    Args:
        runs: One row a run, as `run_all` returns them.
        baseline: The contender that is subtracted from the others.
        folder: Where the files go.
        command: What made them; `table.md` names it.
        measures: Columns of `summary.csv`. The other CSV files have all measures.
        introduction: Markdown above the table. Its first line is the title, with which LaTeX's caption begins.
        shown: Columns of `table.tex`, `table.md` and the table that is returned; by default `measures`.
        dataset: Name of the images, for LaTeX's caption.

    Returns:
        The table for the terminal, with ids.
    """
    lists = [column for column in runs if runs[column].map(lambda value: isinstance(value, list)).any()]
    details = runs.drop(columns=[*lists, "folder"], errors="ignore")
    replace_file(folder / "runs.csv", lambda aside: details.to_csv(aside, index=False, float_format="%.6g"))
    numbers = statistics_table(runs, baseline)
    replace_file(folder / "statistics.csv", lambda aside: numbers.to_csv(aside, index=False, float_format="%.6g"))
    summary = summary_table(runs, baseline, measures)
    replace_file(folder / "summary.csv", lambda aside: summary.to_csv(aside, index=False))
    table = summary_table(runs, baseline, shown) if shown else summary
    full = with_display_names(with_tests(table, numbers, (shown or measures)[0]))
    better = directions((*measures, *shown))
    title = introduction.partition("\n")[0].removeprefix("# ")
    caption = table_caption(title, dataset, seeds_of(runs), legend(full))
    write_text(folder / "table.tex", latex(full, caption, f"{folder.parent.name}-{folder.name}", better))
    above = f"{introduction}\n\n" if introduction else ""
    shown_full = markdown(with_arrows(full, better))
    write_text(folder / "table.md", f"{above}{shown_full}\n\n{legend(full)} Made by `{command}`.\n")
    return table


def directions(measures: Iterable[Measure] = ()) -> dict[str, str]:
    """`Measure.better` by heading, of these measures and those of all runs. Those without a direction are left out.

    >>> directions()["forgetting"]
    'lower'
    """
    return {each.heading: each.better for each in (*MEASURES.values(), *measures) if each.heading and each.better}


def with_tests(table: pd.DataFrame, numbers: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """Add three columns: the interval of the first measure, and the p of the paired t-test, plain and corrected.

    Args:
        table: Of `summary_table`.
        numbers: Of `statistics_table`, of the same runs.
        measure: The table's first measure.
    """
    of = numbers[numbers["measure"] == measure.name].set_index(["condition", "contender"])
    of = of.reindex(pd.MultiIndex.from_frame(table[["condition", "contender"]]))  # NaN if no run has the measure
    ends = measure.factor * of[["low", "high"]]
    full = table.copy()
    full.insert(
        list(table.columns).index(measure.heading) + 1,
        INTERVAL,
        ["" if np.isnan(low) else f"[{rounded(low)}, {rounded(high)}]" for low, high in ends.itertuples(index=False)],
    )
    full[P] = [p_value(p) for p in of["p"]]
    full[P_HOLM] = [p_value(p) for p in of["p_holm"]]
    return full


def with_display_names(table: pd.DataFrame, name: Callable[[str], str] = display_name) -> pd.DataFrame:
    """Replace the ids in a table, and in the heading of its differences, by display names.

    Args:
        table: A table with any of the columns `NAMED`.
        name: Makes the display name of an id or a label.
    """
    named = {column: table[column].map(name) for column in NAMED if column in table}
    return table.assign(**named).rename(columns=lambda column: _BASELINE.sub(lambda found: name(found[0]), column))


def p_value(p: float) -> str:
    """Three digits, or nothing if there was no test."""
    return "" if np.isnan(p) else f"{p:.3f}" if p >= 0.0005 else "<0.001"


def legend(table: pd.DataFrame) -> str:
    """What the numbers of a table of contenders are, and what its less common columns mean."""
    return " ".join([LEGEND, *(words for column, words in EXPLANATIONS.items() if column in table)])


def markdown(table: pd.DataFrame) -> str:
    r"""A GitHub table, in which bars and line breaks are escaped.

    >>> print(markdown(pd.DataFrame({"contender": ["a|b"]})))
    | contender |
    | --- |
    | a\|b |
    """
    lines: list[Iterable[Any]] = [table.columns, ["---"] * len(table.columns), *table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: Any) -> str:
    return " ".join(str(value).splitlines()).replace("|", r"\|")


def rich_tables(table: pd.DataFrame) -> list[Table]:
    """The table for the terminal: one for each condition, with short names."""
    shown = []
    for condition, group in with_display_names(table, short_name).groupby("condition", sort=False):
        style: dict[str, Any] = {"box": SIMPLE_HEAD, "show_edge": False, "padding": 0}
        shown.append(Table(title=f"\n{condition}", title_justify="left", **style))
        rows = group.drop(columns=["condition", "seeds"])
        for column in rows.columns:
            shown[-1].add_column(column, no_wrap=True)
        for row in rows.itertuples(index=False):
            shown[-1].add_row(*map(str, row))
    return shown

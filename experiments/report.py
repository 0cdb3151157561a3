"""Tables of a comparison: for the terminal, as Markdown and as CSV."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from experiments.files import replace_file, write_text
from experiments.statistics import paired_difference

MEASURES = {
    "final_accuracy": ("A_T %", 100.0),
    "average_accuracy": ("avg. A %", 100.0),
    "forgetting": ("forgetting", 100.0),
    "test_entropy": ("entropy", 1.0),
}


def summary_table(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """A row for each condition and contender, as text.

    Args:
        runs: One row a run, as `run_all` returns them.
        baseline: The contender from whom the others' A_T is subtracted, seed by seed.

    Returns:
        Mean and standard deviation over seeds of each measure (accuracies and forgetting in points, the entropy at
        test in nats), and the paired difference of A_T in points with its 95 % interval.
    """
    rows = []
    for condition in runs["condition"].unique():
        here = runs[runs["condition"] == condition]
        reference = _by_seed(here, baseline)
        for contender in here["contender"].unique():
            group = _by_seed(here, contender)
            row = {"condition": condition, "contender": contender, "seeds": str(len(group))}
            for key, (title, factor) in MEASURES.items():
                digits = 1 if factor > 1 else 2
                spread = f" ± {factor * group[key].std(ddof=1):.{digits}f}" if len(group) > 1 else ""
                row[title] = f"{factor * group[key].mean():.{digits}f}{spread}"
            difference = paired_difference(100 * group["final_accuracy"], 100 * reference["final_accuracy"])
            interval = f" [{difference.low:+.1f}, {difference.high:+.1f}]" if len(group) > 1 else ""
            row[f"vs {baseline} [95 %]"] = "" if contender == baseline else f"{difference.mean:+.1f}{interval}"
            rows.append(row)
    return pd.DataFrame(rows)


def write_report(runs: pd.DataFrame, baseline: str, folder: Path, command: str) -> pd.DataFrame:
    """Write `runs.csv`, `summary.csv` and `table.md`, which names the command, and return the table."""
    table = summary_table(runs, baseline)
    details = runs.drop(columns=["accuracy_curve", "folder"])
    replace_file(folder / "runs.csv", lambda aside: details.to_csv(aside, index=False, float_format="%.6g"))
    replace_file(folder / "summary.csv", lambda aside: table.to_csv(aside, index=False))
    write_text(folder / "table.md", f"{markdown(table)}\n\nMade by `{command}`.\n")
    return table


def markdown(table: pd.DataFrame) -> str:
    """A GitHub table."""
    lines: list[Iterable[Any]] = [table.columns, ["---"] * len(table.columns), *table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def rich_tables(table: pd.DataFrame) -> list[Table]:
    """The same for the terminal: a table for each condition."""
    columns = [column for column in table.columns if column not in ("condition", "seeds")]
    shown = []
    for condition, group in table.groupby("condition", sort=False):
        style: dict[str, Any] = {"box": SIMPLE_HEAD, "show_edge": False, "padding": 0}
        shown.append(Table(title=f"\n{condition}", title_justify="left", **style))
        for column in columns:
            shown[-1].add_column(column, no_wrap=True)
        for row in group[columns].itertuples(index=False):
            shown[-1].add_row(*map(str, row))
    return shown


def _by_seed(runs: pd.DataFrame, contender: str) -> pd.DataFrame:
    return runs[runs["contender"] == contender].set_index("seed").sort_index()

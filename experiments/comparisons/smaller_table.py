"""A comparison does not replace the table of a larger one."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from experiments.comparisons.output_paths import OutputPaths
from experiments.config.entry import Entry
from experiments.files import reading

ROW = ["condition", "contender", "seed"]
"""Columns that say which run a row of `runs.csv` is of."""
MOST_NAMED = 6
"""The most contenders, conditions and seeds that the message names."""


def refuse_smaller(entries: Sequence[Entry], paths: OutputPaths) -> None:
    """Check that the table of some runs has all rows of the table that it would replace.

    Args:
        entries: The runs.
        paths: Folders of the results.

    Raises:
        FileExistsError: The table in the folder has runs that these are not.
    """
    file = paths.tables / "runs.csv"
    if not file.exists():
        return
    try:
        with reading(file, "it is replaced"):
            there = pd.read_csv(file, usecols=ROW, dtype=str, keep_default_na=False)[ROW]
    except ValueError:  # it is no table of runs, or a damaged one
        return
    rows = set(there.itertuples(index=False, name=None))
    lacking = rows - {(entry.condition, entry.contender, str(entry.config.seed)) for entry in entries}
    if lacking:
        other = paths.tables.with_name(f"{paths.tables.name}-2")
        left_out = _named(there, entries) or f"{len(lacking)} of them"
        raise FileExistsError(
            f"{paths.tables} holds a table of {len(rows)} runs; one of these {len(entries)} would replace it, and "
            f"leave out {left_out}: name these too, or write this table elsewhere, from the same finished runs, by "
            f"--out {other} --runs {paths.runs}"
        )


def _named(there: pd.DataFrame, entries: Sequence[Entry]) -> str:
    """The contenders, conditions and seeds of which no run is left."""
    here = {
        "contender": {entry.contender for entry in entries},
        "condition": {entry.condition for entry in entries},
        "seed": {str(entry.config.seed) for entry in entries},
    }
    gone = [
        f"seed {value}" if column == "seed" else value
        for column, kept in here.items()
        for value in dict.fromkeys(there[column])
        if value not in kept
    ]
    more = f" and {len(gone) - MOST_NAMED} more" if len(gone) > MOST_NAMED else ""
    return ", ".join(gone[:MOST_NAMED]) + more

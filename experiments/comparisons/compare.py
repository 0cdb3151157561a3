"""Carrying out a comparison and showing what comes of it; or, beforehand, what it would do."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.table import Table

from agents.methods import NO_OBJECTIVE
from experiments.comparisons.dry_run import make_plan
from experiments.comparisons.entries import Entry, Job, check_different, check_workers, kinds, run_all
from experiments.comparisons.native_size import size_warning
from experiments.config.builders import check
from experiments.console import say, show
from experiments.reports.figures import save_figures
from experiments.reports.tables import DEFAULT_COLUMNS, rich_tables, write_report
from experiments.reports.terminal import compute, plan_lines
from experiments.runs.measure import Measure


@dataclass(frozen=True, kw_only=True)
class OutputPaths:
    """Where a comparison's results go.

    Attributes:
        tables: The folder of tables and figures.
        runs: The folder of the runs' folders; comparisons may share it.
        workers: Runs at once; by default as many as fit the cores, and one on a GPU.
    """

    tables: Path
    runs: Path
    workers: int | None = None


def run_and_report(
    entries: Sequence[Entry],
    baseline: str,
    places: OutputPaths,
    measures: Sequence[Measure] = DEFAULT_COLUMNS,
    introduction: str = "",
    job: Job | None = None,
    shown: Sequence[Measure] = (),
) -> pd.DataFrame:
    """Run what is not finished yet, write the tables and print them.

    Args:
        entries: The runs.
        baseline: The contender from whom the others are subtracted.
        places: Where the results go.
        measures: Columns of `summary.csv`.
        introduction: Markdown above the table in `table.md`.
        job: What is run; by default an objective on a stream.
        shown: Columns of the printed, Markdown and LaTeX tables; by default `measures`.

    Returns:
        One row a run, as `run_all` returns them.

    Raises:
        ValueError: There is nothing to run, the baseline is not among the contenders, or a run is impossible.
        RunFailedError: A run failed; the finished ones are kept.
    """
    check_comparison(entries, baseline, places.workers)
    runs = run_all(entries, places.runs, places.workers, job)
    command = f"python -m experiments {shlex.join(sys.argv[1:])}"
    table = write_report(runs, baseline, places.tables, command, measures, introduction, shown)
    seeds = len({entry.config.seed for entry in entries})
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    say(f"\n{entries[0].config.data_name}: {len(entries)} runs, {spread}")
    show(*rich_tables(table))
    say(f"table {places.tables / 'table.md'}, runs in {places.runs}")
    return runs


def check_comparison(entries: Sequence[Entry], baseline: str, workers: int | None) -> None:
    """Check the runs of a comparison as a whole, before any work.

    Args:
        entries: The runs.
        baseline: The contender from which the others are subtracted.
        workers: Runs at once; None for as many as fit.

    Raises:
        ValueError: There are no runs, two are equal, the baseline is missing, or `workers` is below 1.
    """
    check_workers(workers)
    if not entries:
        raise ValueError("nothing to compare: give at least one objective, one seed, and one value of all that varies")
    contenders = list(dict.fromkeys(entry.contender for entry in entries))
    if baseline not in contenders:
        raise ValueError(f"differences are taken to {baseline!r}: name it too, beside {', '.join(contenders)}")
    check_different(entries)


def save_and_list_figures(figures: dict[str, Figure], folder: Path) -> None:
    """Save figures, and say where."""
    for file in save_figures(figures, folder):
        say(f"figure {file}")


def show_plan(entries: Sequence[Entry]) -> None:
    """The resolved configuration, the tasks, what learns, and an estimate of compute and memory, without training."""
    for entry in entries:
        check(entry.config)
    first = entries[0].config
    shapes = [
        kind if kind.objective == NO_OBJECTIVE else replace(kind, objective="ce")  # their losses cost nothing
        for entry in entries
        for kind in kinds([entry])
    ]
    plans = {shape: make_plan(shape) for shape in dict.fromkeys(shapes)}
    say(first)
    seen = dict.fromkeys((entry.config.model, entry.config.input_size) for entry in entries)
    for warning in filter(None, (size_warning(*view) for view in seen)):
        say(warning)
    for line in plan_lines(next(iter(plans.values())), first.precision):
        show(line) if isinstance(line, Table) else say(line)
    if len(entries) > 1:
        total = sum(plans[shape].total_flops for shape in shapes)
        runs = Table("condition", "contender", "seed", "run", title=f"{len(entries)} runs")
        for entry in entries:
            runs.add_row(entry.condition, entry.contender, str(entry.config.seed), entry.config.name)
        show(runs)
        say(f"all runs: {compute(total, first.precision)}")

"""Runs a comparison and reports its results, or shows beforehand what it would do."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.table import Table

from experiments.comparisons.characters_backbone import warn_of_characters
from experiments.comparisons.dry_run import make_plan
from experiments.comparisons.native_size import size_warning
from experiments.config.entry import Entry
from experiments.config.settings import RunConfig
from experiments.console import say, show
from experiments.execution.processes import check_different, check_workers, run_all
from experiments.reports.figures import save_figures
from experiments.reports.tables import DEFAULT_COLUMNS, rich_tables, write_report
from experiments.reports.terminal import compute, plan_lines
from experiments.runs.job import LEARNING, Job
from experiments.runs.measure import Measure
from experiments.runs.plan import Plan


@dataclass(frozen=True, kw_only=True)
class OutputPaths:
    """Where a comparison's results go.

    Attributes:
        tables: The folder of tables and figures.
        runs: The folder of the runs' folders; comparisons may share it.
        workers: Worker processes, see `run_all`; 0 for none.
    """

    tables: Path
    runs: Path
    workers: int | None = None

    @classmethod
    def of(cls, folder: Path, workers: int | None) -> OutputPaths:
        """Tables and runs in one folder."""
        return cls(tables=folder, runs=folder / "runs", workers=workers)


def run_and_report(
    entries: Sequence[Entry],
    baseline: str,
    paths: OutputPaths,
    measures: Sequence[Measure] = DEFAULT_COLUMNS,
    introduction: str = "",
    job: Job = LEARNING,
    shown: Sequence[Measure] = (),
) -> pd.DataFrame:
    """Run what is not finished yet, write the tables and print them.

    Args:
        entries: The runs.
        baseline: The contender from which the others are subtracted.
        paths: Where the results go.
        measures: Columns of `summary.csv`.
        introduction: Markdown above the table in `table.md`.
        job: What is done with an entry; by default an agent is trained on a stream.
        shown: Columns of the printed, Markdown and LaTeX tables; by default `measures`.

    Returns:
        One row a run, as `run_all` returns them.

    Raises:
        ValueError: There is nothing to run, the baseline is not among the contenders, or a run is impossible.
        RunFailedError: A run failed; the finished ones are kept.
    """
    check_comparison(entries, baseline, paths.workers)
    runs = run_all(entries, paths.runs, paths.workers, job)
    command = f"cls-env {shlex.join(sys.argv[1:])}"
    table = write_report(runs, baseline, paths.tables, command, measures, introduction, shown)
    seeds = len({entry.config.seed for entry in entries})
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    say(f"\n{entries[0].config.data_name}: {len(entries)} runs, {spread}")
    show(*rich_tables(table))
    say(f"table {paths.tables / 'table.md'}, runs in {paths.runs}")
    return runs


def check_comparison(entries: Sequence[Entry], baseline: str, workers: int | None) -> None:
    """Check the runs of a comparison as a whole, before any work, and warn of a backbone that does not fit the images.

    Args:
        entries: The runs.
        baseline: The contender from which the others are subtracted.
        workers: Worker processes; None for as many as fit.

    Raises:
        ValueError: There are no runs, two are equal, the baseline is missing, or `workers` is negative.
    """
    check_workers(workers)
    if not entries:
        raise ValueError("nothing to compare: give at least one objective, one seed, and one value of all that varies")
    contenders = list(dict.fromkeys(entry.contender for entry in entries))
    if baseline not in contenders:
        raise ValueError(f"differences are taken to {baseline!r}: name it too, in addition to {', '.join(contenders)}")
    check_different(entries)
    warn_of_characters(entries)


def save_and_list_figures(figures: dict[str, Figure], folder: Path) -> None:
    """Save figures, and say where."""
    for file in save_figures(figures, folder):
        say(f"figure {file}")


def show_plan(entries: Sequence[Entry]) -> None:
    """Print the configuration, the tasks, the parameters, and an estimate of compute and memory, without training.

    Raises:
        ValueError: An entry is impossible.
        FileNotFoundError: The images are not here, and their dataset's card does not say how many there are.
    """
    runs = [entry.checked for entry in entries]
    first = runs[0].config
    costs = [_cost(run.config) for run in runs]
    plans: dict[RunConfig, Plan] = {}
    for run, cost in zip(runs, costs, strict=True):
        if cost not in plans:
            plans[cost] = make_plan(run)
    say(first)
    seen = dict.fromkeys((run.config.model, run.config.input_size) for run in runs)
    for warning in filter(None, (size_warning(*view) for view in seen)):
        say(warning)
    for line in plan_lines(plans[costs[0]], first.precision):
        show(line) if isinstance(line, Table) else say(line)
    if len(entries) > 1:
        table = Table("condition", "contender", "seed", "run", title=f"{len(entries)} runs")
        for entry in entries:
            table.add_row(entry.condition, entry.contender, str(entry.config.seed), entry.config.name)
        show(table)
        say(f"all runs: {compute(sum(plans[cost].total_flops for cost in costs), first.precision)}")


def _cost(config: RunConfig) -> RunConfig:
    """The same for runs that cost the same: they differ in objective, seed, label noise and learning rate alone."""
    return replace(config, objective="", seed=0, label_noise=0.0, learning_rate=1.0)

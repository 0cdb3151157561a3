"""Runs a comparison and reports its results, or shows beforehand what it would do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from experiments.comparisons.output_paths import OutputPaths
from experiments.config.entry import Entry
from experiments.console import say, show, typed_command, warn
from experiments.execution.run_all import check_different, run_all
from experiments.reports.figures import save_figures
from experiments.reports.tables import DEFAULT_COLUMNS, rich_tables, write_report
from experiments.runs.job import LEARNING, Job
from experiments.runs.measure import Measure
from experiments.runs.measures import OF_VALIDATION
from experiments.runs.run_folder import RunFolder


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
    check_comparison(entries, baseline)
    runs = run_all(entries, paths.runs, paths.engine, job, paths.checkpoint_every, paths.store)
    warn_of_missing_measures(runs, [*measures, *shown])
    dataset = data_names(entries)
    table = write_report(runs, baseline, paths.tables, typed_command(), measures, introduction, shown, dataset)
    seeds = len({entry.config.seed for entry in entries})
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    say(f"\n{dataset}: {len(entries)} runs, {spread}")
    show(*rich_tables(table))
    say(f"table {paths.tables / 'table.md'}, runs in {paths.runs}")
    return runs


def data_names(entries: Sequence[Entry]) -> str:
    """The names of the datasets of some runs."""
    return ", ".join(dict.fromkeys(entry.config.data_name for entry in entries))


def warn_of_missing_measures(runs: pd.DataFrame, measures: Sequence[Measure]) -> None:
    """Say which measures some runs do not have because they finished before the measure was declared.

    Args:
        runs: One row a run, as `run_all` returns them.
        measures: Columns of the table.
    """
    metrics = [RunFolder(Path(folder)).metrics() for folder in runs["folder"]]
    for name in dict.fromkeys(measure.name for measure in measures if measure.name not in OF_VALIDATION):
        if count := sum(name not in each for each in metrics):
            warn(
                f"{count} of {len(metrics)} runs finished before the measure {name} existed, and do not have it; "
                "remove their folders to run them again"
            )


def check_comparison(entries: Sequence[Entry], baseline: str) -> None:
    """Check the runs of a comparison as a whole, before any work.

    Args:
        entries: The runs.
        baseline: The contender from which the others are subtracted.

    Raises:
        ValueError: There are no runs, two are equal, or the baseline is missing.
    """
    if not entries:
        raise ValueError(
            "nothing to compare: give at least one objective or algorithm, one seed, one label noise, and one value of "
            "all else that varies"
        )
    contenders = list(dict.fromkeys(entry.contender for entry in entries))
    if baseline not in contenders:
        raise ValueError(f"differences are taken to {baseline!r}: name it too, in addition to {', '.join(contenders)}")
    check_different(entries)


def save_and_list_figures(figures: dict[str, Figure], folder: Path, dataset: str) -> None:
    """Save the figures of a comparison on a dataset, and say where."""
    for file in save_figures(figures, folder, dataset):
        if file.suffix == ".png":
            say(f"figure {file}, and as PDF")

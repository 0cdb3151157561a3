"""Executes the runs of a comparison, and tabulates them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from cls_env.arguments import number
from experiments.config.comparison import CHECKPOINT_EVERY
from experiments.config.entry import Entry
from experiments.console import progress_bar, say
from experiments.execution.engines.engine import Engine, Observer, Waiting
from experiments.execution.engines.local import LocalEngine
from experiments.execution.failures import Failures
from experiments.execution.store import in_store
from experiments.reports.finished import finished_line
from experiments.runs.job import LEARNING, Job
from experiments.runs.run_folder import RunFolder, run_paths


def run_all(
    entries: Sequence[Entry],
    folder: Path,
    engine: Engine | None = None,
    job: Job = LEARNING,
    checkpoint_every: float = CHECKPOINT_EVERY,
    store: str | None = None,
) -> pd.DataFrame:
    """Execute the runs that are not finished yet, and tabulate all; one that fails does not stop the others.

    Args:
        entries: The runs.
        folder: Holds a folder for each run, under its name; several comparisons may share it.
        engine: Executes the runs; by default worker processes of this machine. The results do not depend on it.
        job: What is done with an entry; by default an agent is trained on a stream.
        checkpoint_every: Minutes between two checkpoints of a run.
        store: URL at which the runs are kept in addition, see `Store`.

    Returns:
        A row for each run: condition, contender, seed, the measures of `metrics.json`, and the run's folder.

    Raises:
        ValueError: A configuration is impossible; nothing has been run.
        RunFailedError: Runs failed; all others are finished.
    """
    folders = execute_all(entries, folder, engine, job, checkpoint_every, store)
    return pd.DataFrame([_row(*each) for each in zip(entries, folders, strict=True)])


def execute_all(
    entries: Sequence[Entry],
    folder: Path,
    engine: Engine | None = None,
    job: Job = LEARNING,
    checkpoint_every: float = CHECKPOINT_EVERY,
    store: str | None = None,
) -> list[RunFolder]:
    """As `run_all`, for runs that may not be finished when the job is done.

    Returns:
        The folder of each run.
    """
    minutes = number("--checkpoint-every", checkpoint_every, "[0, inf)")
    job = job if store is None else in_store(job, store)
    job = job._replace(run=partial(job.run, checkpoint_every=minutes))
    check_different(entries)
    images = job.prepare(entries)
    folders = [RunFolder(path) for path in run_paths([entry.config for entry in entries], folder)]
    before = {each for each in folders if job.done(each)}
    _say_read(len(before), len(entries), folder)
    places, failures, done = dict(zip(entries, folders, strict=True)), Failures(), 0
    with progress_bar() as progress:
        bar = progress.add_task(f"{len(entries)} runs", total=sum(images))

        def on_end(entry: Entry, failed: str | None) -> None:
            nonlocal done
            if failed is None and not job.done(places[entry]):
                failed = f"its results are not in {places[entry].path}: all machines must share it, or give --store"
            if failed is not None:
                failures.add(entry, failed)
                return
            done += 1
            progress.update(bar, description=f"{done} of {len(entries)} runs")
            if places[entry] not in before:
                say((job.line or _line)(entry, places[entry]), highlight=False)

        waiting = [Waiting(*each) for each in zip(entries, (each.path for each in folders), images, strict=True)]
        observer = Observer(lambda count: progress.advance(bar, count), on_end)
        (engine or LocalEngine()).execute(waiting, job, observer)
        failures.check(len(entries))
        progress.update(bar, completed=sum(images))
    return folders


def _say_read(count: int, total: int, folder: Path) -> None:
    if count:
        say(f"{count} of {total} runs already finished, read from {folder}")


def check_different(entries: Sequence[Entry]) -> None:
    """Raise ValueError if two runs are equal."""
    names = [entry.config.name for entry in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{sorted(twice)[0]} is named twice; name each objective, label noise and seed once")


def _line(entry: Entry, folder: RunFolder) -> str:
    return finished_line(entry, folder.metrics())


def _row(entry: Entry, folder: RunFolder) -> dict[str, Any]:
    columns = {"condition": entry.condition, "contender": entry.contender, "seed": entry.config.seed}
    return columns | folder.metrics() | {"folder": str(folder.path)}

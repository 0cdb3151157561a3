"""Executes many runs: in worker processes, or one after another in the calling process."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import Empty
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from rich.progress import Progress, TaskID

from cls_env.arguments import number
from cls_env.command_line.errors import one_line
from experiments.config.comparison import CHECKPOINT_EVERY
from experiments.config.entry import Entry
from experiments.config.settings import Settings
from experiments.console import progress_bar, say
from experiments.execution.failures import Failures
from experiments.execution.following import SECONDS_BETWEEN_LOOKS, follow
from experiments.execution.sharing import SharedGPU, memory_check, uses_gpu
from experiments.execution.workers import IMAGES_PER_REPORT, Report, begin_worker, execute, work, worker_context
from experiments.reports.finished import finished_line
from experiments.runs.errors import RunFailedError
from experiments.runs.job import LEARNING, Job
from experiments.runs.run_folder import RunFolder, run_paths

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

KILLED = "its worker process was killed twice, possibly because memory ran out: try fewer --workers"
OnDone = Callable[[Entry], object]
"""Receives the entry of a run that has finished."""


def run_all(
    entries: Sequence[Entry],
    folder: Path,
    workers: int | None = None,
    job: Job = LEARNING,
    checkpoint_every: float = CHECKPOINT_EVERY,
) -> pd.DataFrame:
    """Execute the runs that are not finished yet, and tabulate all; one that fails does not stop the others.

    Args:
        entries: The runs.
        folder: Holds a folder for each run, under its name; several comparisons may share it.
        workers: Number of worker processes; by default as many as fit the cores, and on a GPU as many as are fastest.
            With 0, the runs are executed one after another in this process. The results do not depend on this number.
        job: What is done with an entry; by default an agent is trained on a stream.
        checkpoint_every: Minutes between two checkpoints of a run.

    Returns:
        A row for each run: condition, contender, seed, the measures of `metrics.json`, and the run's folder.

    Raises:
        ValueError: A configuration is impossible; nothing has been run.
        RunFailedError: Runs failed; all others are finished.
    """
    check_workers(workers)
    minutes = number("--checkpoint-every", checkpoint_every, "[0, inf)")
    job = job._replace(run=partial(job.run, checkpoint_every=minutes))
    check_different(entries)
    total = sum(job.prepare(entries))
    paths = run_paths([entry.config for entry in entries], folder)
    before = {path for path in paths if RunFolder(path).finished}
    _say_read(len(before), len(entries), folder)
    places, done = dict(zip(entries, paths, strict=True)), 0
    with progress_bar() as progress:
        bar = progress.add_task(f"{len(entries)} runs", total=total)

        def on_done(entry: Entry) -> None:
            nonlocal done
            done += 1
            progress.update(bar, description=f"{done} of {len(entries)} runs")
            if places[entry] not in before:
                say(finished_line(entry, RunFolder(places[entry]).metrics()), highlight=False)

        if workers == 0:
            failures = _run_here(entries, paths, job, on_done, lambda count: progress.advance(bar, count))
        else:
            failures = _run_in_workers(entries, paths, job, on_done, workers, progress, bar)
        failures.check(len(entries))
        progress.update(bar, completed=total)
    return pd.DataFrame([_row(entry, path) for entry, path in zip(entries, paths, strict=True)])


def _say_read(count: int, total: int, folder: Path) -> None:
    if count:
        say(f"{count} of {total} runs already finished, read from {folder}")


def check_workers(workers: int | None) -> None:
    """Raise ValueError if a number of worker processes is negative."""
    if workers is not None and workers < 0:
        raise ValueError(f"--workers must be at least 0, not {workers}")


def check_different(entries: Sequence[Entry]) -> None:
    """Raise ValueError if two runs are equal."""
    names = [entry.config.name for entry in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{sorted(twice)[0]} is named twice; name each objective, label noise and seed once")


def _run_here(
    entries: Sequence[Entry], paths: Sequence[Path], job: Job, on_done: OnDone, on_images: Callable[[int], None]
) -> Failures:
    """Execute the runs one after another in this process, whose number of threads stays as it was."""
    threads, failures = torch.get_num_threads(), Failures()
    try:
        for entry, path in zip(entries, paths, strict=True):
            try:
                execute(job.run, entry.config, path, on_images)
            except RunFailedError as error:
                failures.add(entry, one_line(error))
            else:
                on_done(entry)
    finally:
        torch.set_num_threads(threads)
    return failures


def _run_in_workers(
    entries: Sequence[Entry],
    paths: Sequence[Path],
    job: Job,
    on_done: OnDone,
    workers: int | None,
    progress: Progress,
    bar: TaskID,
) -> Failures:
    """Execute the runs in worker processes.

    If a worker is killed, the runs that were executed then are repeated one at a time: the run whose worker is killed
    again has failed.
    """
    most = min(workers or fitting_workers(entries[0].config), len(entries))
    shared = SharedGPU(most, memory_check()) if workers is None and uses_gpu(entries[0].config) else None
    context = worker_context()
    images: Queue[Report] = context.Queue()
    arguments = (os.getpid(), dict(os.environ), images)
    failures, left = Failures(), dict(zip(entries, paths, strict=True))

    def on_report(report: Report) -> None:
        progress.advance(bar, report.images)
        if shared is not None and report.images <= IMAGES_PER_REPORT + entries[0].config.batch_size:
            shared.note(report.worker, report.images)  # larger ones are of tasks that were finished before

    def on_end(entry: Entry, error: BaseException | None) -> None:
        del left[entry]
        if error is None:
            on_done(entry)
        else:
            failures.add(entry, one_line(error))

    def execute_in_pool(chosen: Sequence[Entry], size: int) -> list[Entry]:
        others = set(multiprocessing.active_children())
        with ProcessPoolExecutor(size, context, begin_worker, arguments) as pool:
            started = ((entry, pool.submit(work, job.run, entry.config, left[entry])) for entry in chosen)
            return follow(started, lambda: size if shared is None else min(size, shared.allowed), on_end, others)

    with _reading(images, on_report):
        while left:
            for entry in execute_in_pool(list(left), most):
                if execute_in_pool([entry], 1):
                    on_end(entry, RunFailedError(KILLED))
    return failures


@contextmanager
def _reading(reports: Queue[Report], on_report: Callable[[Report], None]) -> Iterator[None]:
    """Meanwhile read the reports in a queue."""
    over = Event()

    def read() -> None:
        while not over.is_set():
            with suppress(Empty):
                on_report(reports.get(timeout=SECONDS_BETWEEN_LOOKS))

    Thread(target=read, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _row(entry: Entry, path: Path) -> dict[str, Any]:
    columns = {"condition": entry.condition, "contender": entry.contender, "seed": entry.config.seed}
    return columns | RunFolder(path).metrics() | {"folder": str(path)}


def fitting_workers(config: Settings) -> int:
    """The number of runs that fit the cores."""
    return max(1, (os.cpu_count() or 1) // config.threads)

"""Executes many runs: in worker processes, or one after another in the calling process."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from queue import Empty
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from rich.progress import Progress, TaskID

from cls_env.command_line.errors import one_line
from experiments.config.entry import Entry
from experiments.config.settings import Settings
from experiments.console import progress_bar, say
from experiments.execution.sharing import SharedGPU, memory_check, uses_gpu
from experiments.execution.workers import IMAGES_PER_REPORT, Report, begin_worker, execute, work, worker_context
from experiments.reports.finished import finished_line
from experiments.runs.errors import RunFailedError
from experiments.runs.job import LEARNING, Job
from experiments.runs.run_folder import RunFolder, run_paths

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from multiprocessing.queues import Queue

SECONDS_BETWEEN_LOOKS = 0.2
OnDone = Callable[[Entry], object]
"""Receives the entry of a run that has finished."""


def run_all(entries: Sequence[Entry], folder: Path, workers: int | None = None, job: Job = LEARNING) -> pd.DataFrame:
    """Execute the runs that are not finished yet, and tabulate all.

    Args:
        entries: The runs.
        folder: Holds a folder for each run, under its name; several comparisons may share it.
        workers: Number of worker processes; by default as many as fit the cores, and on a GPU as many as are fastest,
            see `SharedGPU`. With 0, the runs are executed one after another in the calling process. The results do not
            depend on this number.
        job: What is done with an entry; by default an agent is trained on a stream.

    Returns:
        A row for each run: condition, contender, seed, the measures of `metrics.json`, and the run's folder.

    Raises:
        ValueError: A configuration is impossible; nothing has been run.
        RunFailedError: A run failed; the finished ones are kept, and the same command resumes from there.
    """
    check_workers(workers)
    check_different(entries)
    total = sum(job.prepare(entries))
    paths = run_paths([entry.config for entry in entries], folder)
    before = {path for path in paths if RunFolder(path).finished}
    if before:
        say(f"{len(before)} of {len(entries)} runs already finished, read from {folder}")
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
            _run_here(entries, paths, job, on_done, lambda count: progress.advance(bar, count))
        else:
            most = min(workers or fitting_workers(entries[0].config), len(entries))
            shared = SharedGPU(most, memory_check()) if workers is None and uses_gpu(entries[0].config) else None
            _run_in_workers(entries, paths, job, on_done, most, shared, progress, bar)
        progress.update(bar, completed=total)
    return pd.DataFrame([_row(entry, path) for entry, path in zip(entries, paths, strict=True)])


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
) -> None:
    """Execute the runs one after another in this process, whose number of threads stays as it was."""
    threads = torch.get_num_threads()
    try:
        for entry, path in zip(entries, paths, strict=True):
            try:
                execute(job.run, entry.config, path, on_images)
            except RunFailedError as error:
                raise _failure(entry, error) from error
            on_done(entry)
    finally:
        torch.set_num_threads(threads)


def _run_in_workers(
    entries: Sequence[Entry],
    paths: Sequence[Path],
    job: Job,
    on_done: OnDone,
    workers: int,
    shared: SharedGPU | None,
    progress: Progress,
    bar: TaskID,
) -> None:
    context = worker_context()
    images: Queue[Report] = context.Queue()
    others = set(multiprocessing.active_children())
    arguments = (os.getpid(), dict(os.environ), images)

    def on_report(report: Report) -> None:
        progress.advance(bar, report.images)
        if shared is not None and report.images <= IMAGES_PER_REPORT + entries[0].config.batch_size:
            shared.note(report.worker, report.images)  # larger ones are of tasks that were finished before

    with _reading(images, on_report), ProcessPoolExecutor(workers, context, begin_worker, arguments) as pool:
        started = (
            (entry, pool.submit(work, job.run, entry.config, path)) for entry, path in zip(entries, paths, strict=True)
        )
        _follow(started, pool, lambda: workers if shared is None else shared.allowed, on_done, others)


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


def _follow(
    started: Iterator[tuple[Entry, Future[None]]],
    pool: ProcessPoolExecutor,
    allowed: Callable[[], int],
    on_done: OnDone,
    others: Set[BaseProcess],
) -> None:
    """Start runs, as many at once as are allowed, until all are done, and stop at the first that fails.

    At Ctrl-C terminate the workers, but no other children.

    Args:
        started: An iterator over the runs. Advancing it starts the next run.
        pool: Executes the runs.
        allowed: The number of runs that may be executed at once.
        on_done: Receives the entry of each run that has finished.
        others: Children of this process that are not of the pool.
    """
    running: dict[Future[None], Entry] = {}
    try:
        while True:
            running |= {future: entry for entry, future in islice(started, max(0, allowed() - len(running)))}
            if not running:
                return
            for future in wait(running, SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED).done:
                entry = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    raise error
                if error is not None:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise _failure(entry, error) from error
                on_done(entry)
    except BrokenProcessPool as error:
        raise RunFailedError(
            "a worker process was killed, possibly because memory ran out. Finished runs are kept. Run the same "
            "command again with fewer --workers"
        ) from error
    except KeyboardInterrupt:
        for worker in set(multiprocessing.active_children()) - others:  # else the pool waits for their runs
            worker.terminate()
        raise


def _failure(entry: Entry, error: BaseException) -> RunFailedError:
    return RunFailedError(f"the run {entry.config.name} failed: {one_line(error)}")


def _row(entry: Entry, path: Path) -> dict[str, Any]:
    columns = {"condition": entry.condition, "contender": entry.contender, "seed": entry.config.seed}
    return columns | RunFolder(path).metrics() | {"folder": str(path)}


def fitting_workers(config: Settings) -> int:
    """The number of runs that fit the cores."""
    return max(1, (os.cpu_count() or 1) // config.threads)

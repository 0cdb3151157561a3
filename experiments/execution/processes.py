"""Executes many runs: in worker processes, or one after another in the calling process."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
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
from experiments.console import progress_bar
from experiments.execution.workers import begin_worker, execute, work, worker_context
from experiments.runs.errors import RunFailedError
from experiments.runs.job import LEARNING, Job
from experiments.runs.run_folder import RunFolder, run_paths

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from multiprocessing.queues import Queue

SECONDS_BETWEEN_LOOKS = 0.2
OnDone = Callable[[int], object]
"""Receives the number of finished runs."""


def run_all(entries: Sequence[Entry], folder: Path, workers: int | None = None, job: Job = LEARNING) -> pd.DataFrame:
    """Execute the runs that are not finished yet, and tabulate all.

    Args:
        entries: The runs.
        folder: Holds a folder for each run, under its name; several comparisons may share it.
        workers: Number of worker processes; by default as many as fit the cores, and one on a GPU. With 0, the runs
            are executed one after another in the calling process. The results do not depend on this number.
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
    with progress_bar() as progress:
        bar = progress.add_task(f"{len(entries)} runs", total=total)

        def on_done(done: int) -> None:
            progress.update(bar, description=f"{done} of {len(entries)} runs")

        if workers == 0:
            _run_here(entries, paths, job, on_done, lambda count: progress.advance(bar, count))
        else:
            count = workers or _fitting_workers(entries[0].config)
            _run_in_workers(entries, paths, job, on_done, min(count, len(entries)), progress, bar)
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
        for done, (entry, path) in enumerate(zip(entries, paths, strict=True), start=1):
            try:
                execute(job.run, entry.config, path, on_images)
            except RunFailedError as error:
                raise _failure(entry, error) from error
            on_done(done)
    finally:
        torch.set_num_threads(threads)


def _run_in_workers(
    entries: Sequence[Entry],
    paths: Sequence[Path],
    job: Job,
    on_done: OnDone,
    workers: int,
    progress: Progress,
    bar: TaskID,
) -> None:
    context = worker_context()
    images: Queue[int] = context.Queue()
    others = set(multiprocessing.active_children())
    arguments = (os.getpid(), dict(os.environ), images)
    with _advancing(progress, bar, images), ProcessPoolExecutor(workers, context, begin_worker, arguments) as pool:
        futures = {
            pool.submit(work, job.run, entry.config, path): entry for entry, path in zip(entries, paths, strict=True)
        }
        _follow(futures, pool, on_done, others)


@contextmanager
def _advancing(progress: Progress, bar: TaskID, images: Queue[int]) -> Iterator[None]:
    """Meanwhile advance a progress bar by the numbers of images in a queue."""
    over = Event()

    def show() -> None:
        while not over.is_set():
            with suppress(Empty):
                progress.advance(bar, images.get(timeout=SECONDS_BETWEEN_LOOKS))

    Thread(target=show, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _follow(
    futures: Mapping[Future[None], Entry], pool: ProcessPoolExecutor, on_done: OnDone, others: Set[BaseProcess]
) -> None:
    """Wait for all runs, and stop at the first that fails. At Ctrl-C terminate the workers, but no other children."""
    try:
        for done, future in enumerate(as_completed(futures), start=1):
            if error := future.exception():
                pool.shutdown(wait=False, cancel_futures=True)
                raise _failure(futures[future], error) from error
            on_done(done)
    except KeyboardInterrupt:
        for worker in set(multiprocessing.active_children()) - others:  # else the pool waits for their runs
            worker.terminate()
        raise


def _failure(entry: Entry, error: BaseException) -> RunFailedError:
    if isinstance(error, BrokenProcessPool):
        return RunFailedError(
            "a worker process was killed, possibly because memory ran out. Finished runs are kept. Run the same "
            "command again with fewer --workers"
        )
    return RunFailedError(f"the run {entry.config.name} failed: {one_line(error)}")


def _row(entry: Entry, path: Path) -> dict[str, Any]:
    columns = {"condition": entry.condition, "contender": entry.contender, "seed": entry.config.seed}
    return columns | RunFolder(path).metrics() | {"folder": str(path)}


def _fitting_workers(config: Settings) -> int:
    """The number of runs that fit the cores, or one on a GPU."""
    on_gpu = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    return 1 if on_gpu else max(1, (os.cpu_count() or 1) // config.threads)

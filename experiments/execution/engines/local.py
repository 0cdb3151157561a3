"""Runs in worker processes of this machine, or one after another in the calling process."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from queue import Empty
from threading import Event, Thread
from typing import TYPE_CHECKING

import torch

from cls_env.arguments import whole_number
from cls_env.command_line.errors import one_line
from experiments.config.entry import Entry
from experiments.config.settings import Settings
from experiments.execution.engines.engine import Observer, Waiting
from experiments.execution.following import SECONDS_BETWEEN_LOOKS, follow
from experiments.execution.sharing import SharedGPU, memory_check, uses_gpu
from experiments.execution.workers import IMAGES_PER_REPORT, Report, begin_worker, execute, work, worker_context
from experiments.runs.errors import RunFailedError
from experiments.runs.job import Job

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

KILLED = "its worker process was killed twice, possibly because memory ran out: try fewer --workers"


class LocalEngine:
    """Executes runs on this machine.

    Args:
        workers: Number of worker processes; by default as many as fit the cores, and on a GPU as many as are fastest.
            With 0, the runs are executed one after another in this process, whose number of threads stays as it was.

    Raises:
        ValueError: The number is negative.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = None if workers is None else whole_number("--workers", workers, least=0)

    def ready(self) -> AbstractContextManager[None]:
        """See `Engine`."""
        return nullcontext()

    def execute(self, waiting: Sequence[Waiting], job: Job, observer: Observer) -> None:
        """See `Engine`."""
        if self.workers == 0:
            _run_here(waiting, job, observer)
        else:
            _run_in_workers(waiting, job, observer, self.workers)


def _run_here(waiting: Sequence[Waiting], job: Job, observer: Observer) -> None:
    threads = torch.get_num_threads()
    try:
        for entry, path, _ in waiting:
            try:
                execute(job.run, entry.config, path, observer.on_images)
            except RunFailedError as error:
                observer.on_end(entry, one_line(error))
            else:
                observer.on_end(entry, None)
    finally:
        torch.set_num_threads(threads)


def _run_in_workers(waiting: Sequence[Waiting], job: Job, observer: Observer, workers: int | None) -> None:
    """Execute the runs in worker processes.

    If a worker is killed, the runs that were executed then are repeated one at a time: the run whose worker is killed
    again has failed.
    """
    config = waiting[0].entry.config
    most = min(workers or fitting_workers(config), len(waiting))
    shared = SharedGPU(most, memory_check()) if workers is None and uses_gpu(config) else None
    context = worker_context()
    images: Queue[Report] = context.Queue()
    arguments = (os.getpid(), dict(os.environ), images)
    left = {each.entry: each.path for each in waiting}

    def on_report(report: Report) -> None:
        observer.on_images(report.images)
        if shared is not None and report.images <= IMAGES_PER_REPORT + config.batch_size:
            shared.note(report.worker, report.images)  # larger ones are of tasks that were finished before

    def on_end(entry: Entry, error: BaseException | None) -> None:
        del left[entry]
        observer.on_end(entry, None if error is None else one_line(error))

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


def fitting_workers(config: Settings) -> int:
    """The number of runs that fit the cores."""
    return max(1, (os.cpu_count() or 1) // config.threads)

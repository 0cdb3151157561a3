"""Starting runs in a pool of processes, and waiting for them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Set
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from experiments.config.entry import Entry
from experiments.runs.interruptions import GRACE, SAVE

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

SECONDS_BETWEEN_LOOKS = 0.2
OnEnd = Callable[[Entry, BaseException | None], object]
"""Receives the entry of a run that has ended, and its error if it failed."""


def follow(
    started: Iterator[tuple[Entry, Future[None]]], allowed: Callable[[], int], on_end: OnEnd, others: Set[BaseProcess]
) -> list[Entry]:
    """Start runs, as many at once as are allowed, until all have ended or a worker was killed.

    At Ctrl-C and SIGTERM the workers are stopped, which write a checkpoint first. SIGUSR1 is passed on to them.

    Args:
        started: An iterator over the runs. Advancing it starts the next run.
        allowed: The number of runs that may be executed at once.
        on_end: Receives each run that has ended.
        others: Children of this process that are not of the pool.

    Returns:
        The runs that were executed when a worker was killed; none if all have ended.
    """
    running: dict[Future[None], Entry] = {}
    try:
        with _passing_on(SAVE, others):
            while True:
                with suppress(BrokenProcessPool):  # which the running ones report
                    for entry, future in islice(started, max(0, allowed() - len(running))):
                        running[future] = entry
                if not running:
                    return []
                for future in wait(running, SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED).done:
                    error = future.exception()
                    if isinstance(error, BrokenProcessPool):
                        return list(running.values())
                    on_end(running.pop(future), error)
    except (KeyboardInterrupt, SystemExit):
        end_workers(set(multiprocessing.active_children()) - others)
        raise


def end_workers(workers: Iterable[BaseProcess]) -> None:
    """Stop processes: they have some seconds to write a checkpoint, and are killed afterwards."""
    workers = list(workers)
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + GRACE + 2
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
        if worker.is_alive():
            worker.kill()


@contextmanager
def _passing_on(name: str, others: Set[BaseProcess]) -> Iterator[None]:
    """Pass a signal on to the workers, in the main thread of a system that has the signal."""
    number: Any = getattr(signal, name, None)

    def send(*_: Any) -> None:
        for worker in set(multiprocessing.active_children()) - others:
            with suppress(ProcessLookupError):
                os.kill(worker.pid or 0, number)

    try:
        before = None if number is None else signal.signal(number, send)
    except ValueError:  # not in the main thread
        number = before = None
    try:
        yield
    finally:
        if number is not None:
            signal.signal(number, before)

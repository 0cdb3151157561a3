"""Following runs that are executed elsewhere, by whatever starts them there."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import islice
from typing import Protocol, TypeVar

from experiments.execution.engines.engine import Observer, Waiting
from experiments.runs.job import Job
from experiments.runs.run_folder import RunFolder

Handle = TypeVar("Handle", bound=Hashable)


class Cluster(Protocol[Handle]):
    """Starts runs elsewhere. A handle stands for a run that was started."""

    def start(self, waiting: Waiting, job: Job) -> Handle:
        """Start a run, as soon as there is room for it."""

    def ended(self, running: Sequence[Handle]) -> Sequence[Handle]:
        """Wait for about a second, and return those that have ended."""

    def failure(self, handle: Handle, waiting: Waiting) -> str | None:
        """Why a run that has ended is not finished; None if it is."""

    def images(self, finished: Sequence[Waiting]) -> int:
        """How many images were processed since the last call, in which some runs have finished."""

    def cancel(self, running: Sequence[Handle]) -> None:
        """End runs, which write a checkpoint first."""


def follow(
    cluster: Cluster[Handle], waiting: Sequence[Waiting], job: Job, observer: Observer, most: int | None = None
) -> None:
    """Execute the runs that are not finished, and follow them. They are canceled if this process is stopped.

    Args:
        cluster: Starts them.
        waiting: The runs.
        job: What is done with an entry.
        observer: Is told what happens.
        most: Maximum number of runs that are started at once; by default all.
    """
    left = iter(_unfinished(waiting, job, observer))
    running: dict[Handle, Waiting] = {}
    try:
        while True:
            for each in islice(left, None if most is None else most - len(running)):
                running[cluster.start(each, job)] = each
            if not running:
                return
            ended = {handle: running[handle] for handle in cluster.ended(list(running))}
            failures = {handle: cluster.failure(handle, each) for handle, each in ended.items()}
            observer.on_images(cluster.images([each for handle, each in ended.items() if failures[handle] is None]))
            for handle in ended:
                observer.on_end(running.pop(handle).entry, failures[handle])
    except BaseException:
        cluster.cancel(list(running))
        raise


def _unfinished(waiting: Sequence[Waiting], job: Job, observer: Observer) -> list[Waiting]:
    left = []
    for each in waiting:
        if job.done(RunFolder(each.path)):
            observer.on_images(each.images)
            observer.on_end(each.entry, None)
        else:
            left.append(each._replace(path=each.path.resolve()))
    return left

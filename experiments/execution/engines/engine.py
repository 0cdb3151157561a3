"""What executes the runs of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from experiments.config.entry import Entry
from experiments.runs.job import Job


class Waiting(NamedTuple):
    """A run to execute.

    Attributes:
        entry: The run.
        path: Its folder.
        images: How many images it will process.
    """

    entry: Entry
    path: Path
    images: int


class Observer(NamedTuple):
    """Is told what happens.

    Attributes:
        on_images: Receives numbers of processed images.
        on_end: Receives the entry of a run that has ended, and the reason if it failed.
    """

    on_images: Callable[[int], None]
    on_end: Callable[[Entry, str | None], object]


class Engine(Protocol):
    """Executes runs. The results do not depend on the engine."""

    def ready(self) -> AbstractContextManager[None]:
        """A context that keeps the engine ready between several calls of `execute`."""

    def execute(self, waiting: Sequence[Waiting], job: Job, observer: Observer) -> None:
        """Execute runs until each has finished or failed. One that fails does not stop the others.

        Args:
            waiting: At least one run; the results of those that are finished are read.
            job: What is done with an entry.
            observer: Is told what happens.
        """

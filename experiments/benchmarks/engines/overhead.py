"""What an engine adds to a run: runs that do nothing, one at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.benchmarks.engines.sweeps import small_runs
from experiments.config.entry import Entry
from experiments.execution.engines.engine import Engine, Observer, Waiting
from experiments.files import write_json
from experiments.runs.job import Job
from experiments.runs.run_folder import RunFolder


class Overhead(NamedTuple):
    """Seconds of an engine.

    Attributes:
        first: From the start of the engine to the end of the first run; it includes imports.
        further: A further run, a mean.
    """

    first: float
    further: float


def do_nothing(config: Any, folder: RunFolder, on_images: Any) -> None:
    """Write the file that says that a run has finished."""
    write_json(folder.path / "metrics.json", {"final_accuracy": 0.0})


def _images(entries: Sequence[Entry]) -> list[int]:
    return [0] * len(entries)


def measure_overhead(engine: Engine, count: int, folder: Path) -> Overhead:
    """Execute runs that do nothing.

    Args:
        engine: Executes them, one at a time.
        count: Their number, at least 2.
        folder: Holds their folders.
    """
    ends: list[float] = []
    waiting = [Waiting(entry, folder / entry.config.name, 0) for entry in small_runs(count)]
    began = time.perf_counter()
    observer = Observer(lambda images: None, lambda entry, failed: ends.append(time.perf_counter()))
    engine.execute(waiting, Job(do_nothing, _images), observer)
    return Overhead(ends[0] - began, (ends[-1] - ends[0]) / (count - 1))

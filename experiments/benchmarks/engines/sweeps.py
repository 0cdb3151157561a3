"""Small runs that keep a journal of when they begin and end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.benchmarks.faults.same_results import differences
from experiments.config.entry import Entry
from experiments.config.settings import RunConfig
from experiments.execution.engines.engine import Engine
from experiments.execution.run_all import run_all
from experiments.runs.job import Job, prepare_learning
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run

JOURNAL = "journal.txt"
BEGINS, ENDS = "begins", "ends"


def small_runs(count: int) -> list[Entry]:
    """Runs with CE and aEPG on the digits, each a few seconds, with different seeds."""
    shared: dict[str, Any] = {"dataset": "digits", "num_tasks": 3, "epochs": 4, "max_per_class": 40, "device": "cpu"}
    return [
        Entry("clean", objective, RunConfig(objective=objective, seed=seed, **shared))
        for seed in range(-(-count // 2))
        for objective in ("ce", "aepg")
    ][:count]


def run_with_journal(config: Any, folder: RunFolder, on_images: Any, checkpoint_every: float) -> Any:
    """As `run`, with a line in the journal before and after."""
    _note(folder, BEGINS)
    metrics = run(config, folder, on_images, checkpoint_every)
    _note(folder, ENDS)
    return metrics


JOURNALED = Job(run_with_journal, prepare_learning)


def _note(folder: RunFolder, what: str) -> None:
    folder.path.parent.mkdir(parents=True, exist_ok=True)
    with (folder.path.parent / JOURNAL).open("a") as journal:  # short lines are appended as a whole
        journal.write(f"{what} {folder.path.name}\n")


def noted(folder: Path, what: str) -> Counter[str]:
    """How often each run began or ended, by its name."""
    file = folder / JOURNAL
    lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return Counter(name for word, name in lines if word == what)


@dataclass(frozen=True)
class Outcome:
    """What became of the runs.

    Attributes:
        finished: How many have finished.
        twice: How many have finished more than once.
        interrupted: How many were begun more than once.
        differ: How many have other results than with the local engine.
    """

    finished: int
    twice: int
    interrupted: int
    differ: int


def execute(entries: list[Entry], folder: Path, engine: Engine, expected: Path) -> Outcome:
    """Execute runs, and compare them with those in another folder, digit for digit except for times.

    The minutes between checkpoints are a hundredth, so that a run is resumed within a task.
    """
    run_all(entries, folder, engine, JOURNALED, checkpoint_every=0.01)
    names = [entry.config.name for entry in entries]
    ends, begins = noted(folder, ENDS), noted(folder, BEGINS)
    return Outcome(
        finished=sum(RunFolder(folder / name).finished for name in names),
        twice=sum(count > 1 for count in ends.values()),
        interrupted=sum(count > 1 for count in begins.values()),
        differ=sum(bool(differences(folder / name, expected / name)) for name in names),
    )

"""The run of a trial on one seed, which may pause after some tasks, and may diverge."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from agents.optimization.divergence import DivergedError
from cls_env.command_line.errors import one_line
from experiments.config.entry import Entry
from experiments.config.settings import RunConfig
from experiments.files import write_text
from experiments.reports.display_names import short_name
from experiments.reports.numbers import rounded
from experiments.runs.job import Job, prepare_learning
from experiments.runs.paused import paused_file, read_pause
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run

NOISY, CLEAN = "validation_accuracy", "validation_accuracy_clean"


class Accuracies(NamedTuple):
    """Accuracies on held-out images, in [0, 1]: by their labels, and by their true ones."""

    noisy: float
    clean: float


DIVERGED = Accuracies(0.0, 0.0)
"""What a run counts whose training diverged, which is below any other."""


def trial_job(tasks: int | None) -> Job:
    """What is done with a trial.

    Args:
        tasks: How many tasks it learns before it pauses; None for all.
    """
    return Job(
        partial(run_trial, tasks=tasks),
        partial(prepare_learning, tasks=tasks),
        partial(is_done, tasks=tasks),
        partial(_line, tasks=tasks),
    )


def run_trial(
    config: RunConfig,
    folder: RunFolder,
    on_images: Callable[[int], None],
    checkpoint_every: float,
    tasks: int | None,
) -> None:
    """Execute a run, or what is left of it; note if its training diverges.

    Args:
        config: What to run.
        folder: Folder of its results.
        on_images: Receives numbers of processed images.
        checkpoint_every: Minutes between two checkpoints.
        tasks: How many tasks it learns before it pauses; None for all.
    """
    if is_done(folder, tasks):  # a run that has learned more tasks can't be tested again as it was then
        return
    try:
        run(config, folder, on_images, checkpoint_every, tasks)
    except DivergedError as error:
        write_text(_diverged(folder), one_line(error) + "\n")


def is_done(folder: RunFolder, tasks: int | None) -> bool:
    """Whether a trial has learned so many tasks, or has diverged."""
    paused = tasks is not None and paused_file(folder, tasks).exists()
    return folder.finished or paused or _diverged(folder).exists()


def accuracies_of(folder: RunFolder, tasks: int | None) -> Accuracies:
    """The accuracies of a trial after some tasks; `DIVERGED` if its training diverged.

    Args:
        folder: Of its run.
        tasks: How many tasks it has learned; None for all.
    """
    if has_diverged(folder):
        return DIVERGED
    found: dict[str, Any] = folder.metrics() if tasks is None else read_pause(folder, tasks)
    return Accuracies(float(found[NOISY]), float(found[CLEAN]))


def has_diverged(folder: RunFolder) -> bool:
    """Whether the training of a trial diverged."""
    return _diverged(folder).exists()


def _diverged(folder: RunFolder) -> Path:
    return folder.path / "diverged.txt"


def _line(entry: Entry, folder: RunFolder, tasks: int | None) -> str:
    named = f"{short_name(entry.contender)}, {entry.condition}, seed {entry.config.seed}"
    if has_diverged(folder):
        return f"{named}: training diverged"
    accuracy = rounded(100 * accuracies_of(folder, tasks).noisy)
    learned = "" if tasks is None else f" after {tasks} task{'s' * (tasks > 1)}"
    return f"{named}: {accuracy} % of the held-out images{learned}"

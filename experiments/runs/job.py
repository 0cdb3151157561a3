"""What is done with the entries of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from experiments.config.entry import Entry
from experiments.config.resolved import make_agent, resolve
from experiments.config.settings import RunConfig
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run


def is_finished(folder: RunFolder) -> bool:
    """Whether a run is finished."""
    return folder.finished


class Job(NamedTuple):
    """What is done with a configuration. Worker processes import both functions by name.

    Attributes:
        run: Executes a run: a function of its configuration, its `RunFolder`, a `Listener` for numbers of images, and
            `checkpoint_every`, the minutes between two checkpoints.
        prepare: Checks all entries before any work, and returns how many images each of their runs will process.
        done: Whether nothing is left to do in a `RunFolder`; by default when its run is finished.
        line: What is said of a run that is done; by default its main measures.
    """

    run: Callable[..., Any]
    prepare: Callable[[Sequence[Entry]], list[int]]
    done: Callable[[RunFolder], bool] = is_finished
    line: Callable[[Entry, RunFolder], str] | None = None


def distinct_configs(entries: Sequence[Entry]) -> dict[RunConfig, Entry]:
    """One entry of those that differ only in seed, label noise and learning rate."""
    return {replace(entry.config, seed=0, label_noise=0.0, learning_rate=1.0): entry for entry in entries}


def prepare_learning(entries: Sequence[Entry], tasks: int | None = None) -> list[int]:
    """Check all entries, build one agent of each distinct configuration, and count the images of each run.

    Args:
        entries: The runs.
        tasks: How many tasks they learn; by default all.

    Raises:
        ValueError: An entry is impossible.
    """
    runs = [entry.checked for entry in entries]  # all are checked before the images of one are loaded
    built = [entry.checked for entry in distinct_configs(entries).values()]
    images = []
    for checked in runs:
        resolved = resolve(checked)
        images.append(sum(resolved.images_per_task[:tasks]))
        if checked in built:
            make_agent(resolved)
    return images


LEARNING = Job(run, prepare_learning)
"""Train an agent with an objective on a stream."""

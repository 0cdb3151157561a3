"""Tables and figures of a finished run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.table import Table

from experiments.config.resolved import ResolvedRun
from experiments.config.settings import RunConfig
from experiments.reports.figures import FORMATS, accuracy_curves, accuracy_matrices, save_figures
from experiments.runs.run_folder import RunFolder

FIGURES = "figures"
"""Folder of the figures within that of the run."""


class _Line(NamedTuple):
    """A line of the table.

    Attributes:
        name: Key in `metrics.json`, and in the definitions of `protocol.json`.
        words: Description of the measure.
        factor: Factor by which the value is multiplied.
        unit: Unit of the multiplied value.
        digits: Digits after the decimal point.
    """

    name: str
    words: str
    factor: float = 100
    unit: str = "%"
    digits: int = 1


_LINES = (
    _Line("final_accuracy", "A_T, accuracy after the last task"),
    _Line("average_accuracy", "avg. A, mean of the accuracies after each task"),
    _Line("forgetting", "forgetting", unit="points"),
    _Line("task_aware_accuracy", "accuracy with the task given"),
    _Line("ece", "ECE, calibration error"),
    _Line("test_entropy", "entropy of the answers", 1, "nats", 2),
    _Line("forward_transfer", "forward transfer", unit="points"),
    _Line("train_accuracy_clean", "training images with true labels"),
    _Line("train_accuracy_flipped", "wrong labels memorised"),
    _Line("validation_accuracy", "accuracy on held-out images"),
    _Line("seconds", "time, with tests", 1, "s"),
    _Line("images_per_second", "speed", 1, "training images/s"),
    _Line("peak_memory_bytes", "peak memory", 1e-6, "MB", 0),
)


def summary(metrics: Mapping[str, Any]) -> Table:
    """The main measures of a run, with units; those that it does not have are left out.

    Args:
        metrics: The contents of `metrics.json`.
    """
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    table.add_column("measure", no_wrap=True)
    table.add_column("value", no_wrap=True, justify="right")
    table.add_column("unit", no_wrap=True)
    table.add_column("defined in protocol.json as", no_wrap=True)
    for line in _LINES:
        if (value := metrics.get(line.name)) is not None:
            table.add_row(line.words, f"{line.factor * value:,.{line.digits}f}", line.unit, line.name)
    return table


def images_line(run: ResolvedRun) -> str:
    """How many images the run is trained on, and why they are not the number of epochs times those of the table."""
    config, total = run.config, sum(run.images_per_task)
    tasks, method = run.stream.tasks, run.method
    own = sum(len(task.train_indices) for task in tasks)
    visited = sum(len(tasks[index].train_indices) for task in tasks for index in method.training_tasks(task.index))
    if not method.learns_by_gradient:
        return f"{config.method} learns without gradients, from {total:,} images"
    again = "" if visited == own else f", those of other tasks included, as {config.method} learns from them again"
    whole = config.epochs * visited
    filled = {True: "filled up", False: "left out"}[total > whole]
    batches = "" if total == whole else f"; the last batch of a task is {filled} if it is not full: {total:,} images"
    return (
        f"{config.epochs} epoch{'s' * (config.epochs > 1)} of {visited:,} images{again}, "
        f"in batches of {config.batch_size}{batches}"
    )


def run_figures(config: RunConfig, folder: RunFolder) -> dict[str, Figure]:
    """The accuracy after each task, and the accuracy matrix, of a finished run, by name."""
    noise = "" if not config.label_noise else f", {100 * config.label_noise:g}% label noise"
    condition = f"{config.data_name}{noise}, seed {config.seed}"
    row = {"condition": condition, "contender": config.objective, "seed": config.seed, "folder": str(folder.path)}
    runs = pd.DataFrame([row | folder.metrics()])
    return {"accuracy_after_each_task": accuracy_curves(runs), "accuracy_matrix": accuracy_matrices(runs)}


def save_run_figures(config: RunConfig, folder: RunFolder) -> list[Path]:
    """Draw the figures of a finished run into its folder, unless they are there, and return the files."""
    place = folder.path / FIGURES
    there = sorted(file for kind in FORMATS for file in place.glob(f"*.{kind}"))
    return there or save_figures(run_figures(config, folder), place, config.data_name)


def places(folder: RunFolder, figures: list[Path]) -> Iterator[str]:
    """Where the results of a run are. Each figure is beside its PNG as a PDF."""
    yield f"results in {folder.path}"
    names = {
        "model.zip": "the trained agent, for EPG.load and cls-env predict",
        "metrics.json": "all measures; protocol.json has their definitions and what was run on what",
        **{f"{FIGURES}/{file.name}": "" for file in figures if file.suffix == ".png"},
    }
    for name, words in names.items():
        yield f"    {name:<14}{words}".rstrip()

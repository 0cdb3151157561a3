"""Tables of a dry run: the tasks, and what the runs cost."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from cls_env.command_line.printable import printable
from experiments.config.gpus import GPUS, SUSTAINED, GpuName
from experiments.reports.run_watch import duration
from experiments.runs.plan import Measured, Plan, PlannedTask


def task_table(tasks: Sequence[PlannedTask]) -> Table:
    """Classes and images of each task."""
    held_out = any(task.validation_images for task in tasks)
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for column in ("task", "classes", "which", "train", *["held out"] * held_out, "test", "learned from"):
        table.add_column(column, no_wrap=column != "which")
    for index, task in enumerate(tasks):
        held = [f"{task.validation_images:,}"] * held_out
        counts = (f"{task.train_images:,}", *held, f"{task.test_images:,}", f"{task.learned_images:,}")
        table.add_row(str(index), str(task.classes), printable(task.content), *counts)
    return table


def run_table(rows: Sequence[tuple[str, str, int]], seconds: Sequence[float]) -> Table:
    """The runs one by one: condition, contender and seed, and the time on this machine."""
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for column in ("run", "condition", "contender", "seed", "time here"):
        table.add_column(column, no_wrap=column != "contender")
    for index, ((condition, contender, seed), time) in enumerate(zip(rows, seconds, strict=True), 1):
        table.add_row(str(index), printable(condition), printable(contender), str(seed), duration(time))
    return table


def cost_table(
    plans: Sequence[Plan], seconds: Sequence[float], measured: Measured, gpu: GpuName, precision: str
) -> Table:
    """Time, memory and disk space of the first run, and of all.

    Args:
        plans: Plans of the runs.
        seconds: That they take on this machine.
        measured: Measurement of the first run.
        gpu: The GPU for which hours are estimated.
        precision: Precision of the runs.
    """
    first, several = plans[0], len(plans) > 1
    card = GPUS[gpu]
    rate = card.rate(precision)
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for column in ("", "one run", *[f"all {len(plans)} runs"] * several, "how it is known"):
        table.add_column(column, no_wrap=column != "how it is known")

    def row(name: str, one: str, every: str, how: str) -> None:
        table.add_row(name, one, *[every] * several, how)

    learned = [sum(task.learned_images for task in plan.tasks) for plan in plans]
    row("images learned from", f"{learned[0]:,}", f"{sum(learned):,}", "epochs, in whole batches")
    row(
        "time on this machine",
        duration(seconds[0]),
        duration(sum(seconds)),
        f"measured on {measured.steps} steps of {measured.images} images"
        + ("; one run after another" if several else ""),
    )
    flops = [plan.total_flops for plan in plans]
    row(
        f"time on an {card.title}" if card.title[0] in "AHLR" else f"time on a {card.title}",
        _of_a_gpu(flops[0] / rate),
        _of_a_gpu(sum(flops) / rate),
        f"{flops[0] / 1e15:.3g} PFLOP at {rate / 1e12:.3g} TFLOP/s, {SUSTAINED:.0%} of its peak, assumed",
    )
    if measured.memory is not None:
        row(
            "memory of the process",
            _size(measured.memory),
            "of each at once",
            "of the measured steps, and of whole batches",
        )
    row("of which for learning", _size(first.memory), "", "weights, gradients, optimizer, activations; all a GPU holds")
    row("disk space", _size(first.disk), _size(sum(plan.disk for plan in plans)), "model, predictions, step logs")
    return table


def _of_a_gpu(seconds: float) -> str:
    """Seconds of computing in words; where there are few, the time between steps counts for more."""
    return duration(seconds) if seconds >= 60 else "under 1 min"


def _size(count: int) -> str:
    """A number of bytes, at least 0.1 MB.

    >>> _size(22_400_000), _size(560_000_000), _size(1_170_000_000)
    ('22 MB', '560 MB', '1.17 GB')
    """
    if count >= 1e9:
        return f"{count / 1e9:.3g} GB"
    megabytes = max(count / 1e6, 0.1)
    return f"{megabytes:.2g} MB" if megabytes < 10 else f"{megabytes:.0f} MB"

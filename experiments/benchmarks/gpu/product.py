"""A run as users start it, of the size of Split-ImageNet-R."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from experiments.benchmarks.gpu.random_agent import random_dataset
from experiments.benchmarks.gpu.report import Check, Row
from experiments.benchmarks.gpu.settings import PATHS, GpuSettings
from experiments.config.resolved import resolve
from experiments.config.settings import RunConfig
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run_owned

EPOCHS = 50
FEWER_EPOCHS = 5


def checks(settings: GpuSettings) -> dict[str, Check]:
    """Seconds of training and of the rest, and the minutes of the whole run."""
    return {"run": partial(_run, settings, settings.paths[-1])}


class TrainingClock:
    """Receives the images of each step, and adds up the seconds in which tasks are trained.

    Args:
        images_per_task: Images on which each task is trained.
    """

    def __init__(self, images_per_task: tuple[int, ...]) -> None:
        self._ends = list(itertools.accumulate(images_per_task))
        self._images, self._task_began = 0, 0.0
        self._first_step = 0
        self.seconds = 0.0

    def __call__(self, count: int) -> None:
        """Note a step, which has just taken its actions."""
        now = time.perf_counter()
        if self._images in (0, *self._ends):
            self._task_began, self._first_step = now, self._images
        self._images += count
        if self._images in self._ends and self._images - count > self._first_step:
            timed, all_images = self._images - self._first_step - count, self._images - self._first_step
            self.seconds += (now - self._task_began) * all_images / timed


def _run(settings: GpuSettings, path: str) -> Iterator[Row]:
    dataset = random_dataset(settings.images, settings.observed_size, settings.classes)
    epochs = EPOCHS if settings.whole else FEWER_EPOCHS
    resolved = resolve(_config(settings, path, epochs), dataset)
    clock = TrainingClock(resolved.images_per_task)
    with tempfile.TemporaryDirectory() as name:
        folder = RunFolder(Path(name) / "run")
        started = time.perf_counter()
        with folder.owned():
            metrics = run_owned(resolved, folder, clock)
        seconds = time.perf_counter() - started
    rest = seconds - clock.seconds
    yield Row(f"{epochs} epochs, {path}: training", clock.seconds, "s")
    yield Row(f"{epochs} epochs, {path}: tests and all else", rest, "s")
    yield Row(f"{epochs} epochs, {path}: training", sum(resolved.images_per_task) / clock.seconds, "images/s")
    yield Row(f"{epochs} epochs, {path}: accuracy, of random images", 100 * metrics["final_accuracy"], "%")
    kind = "minutes" if settings.whole else "minutes, estimated"
    yield Row(f"{EPOCHS} epochs, {path}: the whole run", (clock.seconds * EPOCHS / epochs + rest) / 60, kind)


def _config(settings: GpuSettings, path: str, epochs: int) -> RunConfig:
    place: dict[str, Any] = {"device": settings.device.type, "threads": torch.get_num_threads(), **PATHS[path]}
    return RunConfig(
        num_tasks=settings.tasks,
        epochs=epochs,
        batch_size=settings.batch_size,
        model=settings.model,
        pretrained=False,
        input_size=settings.image_size,
        augment="yes",
        precision="bfloat16",
        **place,
    )

"""Progress reports of a run. They do not change its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter
from torch import Tensor

from experiments.config.resolved import ResolvedRun
from experiments.runs.metrics import Matrix, accuracy_curve, forgetting
from experiments.runs.run_folder import RunFolder

HELD_OUT = "validation/accuracy"
"""Column of the step log: accuracy on the current task's held-out images, among all classes seen."""


@dataclass(frozen=True)
class TaskReport:
    """Results after a task.

    Attributes:
        matrix: Accuracies so far: a row for each finished task, a column for each task; NaN above the diagonal.
        seconds: Wall time of the task, with its tests.
        step: Images learned from, in all tasks.
    """

    matrix: Matrix
    seconds: float
    step: int

    @property
    def task(self) -> int:
        """Index of the task, from 0."""
        return len(self.matrix) - 1

    @property
    def figures(self) -> dict[str, float]:
        """Accuracy on the task, the mean over the tasks so far, and forgetting so far, in [0, 1]."""
        square = self.matrix[:, : len(self.matrix)]
        return {
            "test/accuracy_on_task": float(square[-1, -1]),
            "test/accuracy_on_seen": float(accuracy_curve(square)[-1]),
            "test/forgetting": forgetting(square),
        }


class Watch:
    """Receives the events of a run. This class ignores them; subclasses override the methods that they need.

    Attributes:
        measures_held_out: Whether the accuracy on held-out images is measured after each epoch.
        writers: Formats of SB3's logger that get each row of the step log.
    """

    measures_held_out: bool = False
    writers: Sequence[KVWriter] = ()

    def begin(self, run: ResolvedRun, folder: RunFolder, tasks_done: int) -> None:
        """The run begins, or goes on after some finished tasks. Not called for a finished run."""

    def begin_task(self, task: int) -> None:
        """A task begins."""

    def on_held_out(self, accuracy: float) -> None:
        """The current task's held-out images were classified."""

    def on_task(self, report: TaskReport) -> None:
        """A task has been learned and tested."""


def write_figures(writers: Sequence[KVWriter], report: TaskReport) -> None:
    """Write the accuracies after a task as a row of their own."""
    for writer in writers:
        writer.write(dict(report.figures), {name: ("",) for name in report.figures}, report.step)


class HeldOutAccuracy(BaseCallback):
    """Measures after each epoch of a task, and adds the value to the row of the step that follows.

    The last epoch is measured one gradient step before its end, as in `KeepBestPass`.

    Args:
        measure: Returns the accuracy on the task's held-out images. It must not draw random numbers.
        images_per_epoch: At least 1.
        listener: Receives the accuracies.
    """

    def __init__(self, measure: Callable[[], float], images_per_epoch: int, listener: Callable[[float], None]) -> None:
        super().__init__()
        self._measure, self._images_per_epoch, self._listener = measure, images_per_epoch, listener
        self._epochs = 0

    def _on_training_start(self) -> None:
        self._first_update = self.model._n_updates
        self._updates: int = self.locals["updates"]

    def training_state(self) -> dict[str, Tensor]:
        """How many epochs were measured, for `SaveTraining`."""
        return {"epochs": torch.tensor(self._epochs), "first_update": torch.tensor(self._first_update)}

    def load_training_state(self, tensors: dict[str, Tensor]) -> None:
        """Go on within a task."""
        self._epochs, self._first_update = int(tensors["epochs"]), int(tensors["first_update"])

    def _on_rollout_start(self) -> None:
        update = self.model._n_updates - self._first_update
        images = update * self.model.batch_size  # type: ignore[attr-defined]
        if update < self._updates - 1 and images < (self._epochs + 1) * self._images_per_epoch:
            return
        self._epochs += 1
        accuracy = self._measure()
        self.model.policy.set_training_mode(True)  # the measure has evaluated it
        self.logger.record(HELD_OUT, accuracy)
        self._listener(accuracy)

    def _on_step(self) -> bool:
        return True

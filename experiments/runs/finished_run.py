"""A finished run, with what its measures are computed from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from agents.policy import ViTPolicy, parameter_counts
from cls_env import TaskStream
from experiments.runs.label_fit import shares
from experiments.runs.metrics import Matrix, accuracy_over_images_curve
from experiments.runs.run_folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """The files of a run that has learned all tasks, its policy, and its costs.

    Attributes:
        folder: Holds the files.
        stream: The stream of T tasks.
        policy: The policy after the last task.
        initial: Its `experiments.runs.weight_change.initial_values`.
        trained_images: Training images since the run was last started.
        seconds: Wall time since the run was last started.
        peak_memory: Peak memory in bytes; None if the system does not report it.
        validation: Accuracies on held-out images by name; empty if none are held out.
        extra_passes: The passes of its own that the run made for measures: `test_before_tasks`, `label_fit`.
    """

    folder: RunFolder
    stream: TaskStream
    policy: ViTPolicy
    initial: Mapping[str, Tensor]
    trained_images: int
    seconds: float
    peak_memory: int | None
    validation: Mapping[str, float]
    extra_passes: Collection[str]

    @cached_property
    def matrix(self) -> Matrix:
        """Accuracy on each task after each task, shape (T, T)."""
        return self.folder.read_matrix()

    @cached_property
    def last(self) -> dict[str, NDArray[Any]]:
        """Predictions on the test images of all tasks after the last task, one entry an image."""
        return self.folder.read_predictions(f"after_task_{len(self.matrix) - 1}")

    @property
    def before(self) -> NDArray[np.float64]:
        """Accuracy on each task before learning it, with the task id given, shape (T,)."""
        tasks = range(len(self.matrix))
        return np.array([_task_aware(self.folder.read_predictions(f"before_task_{task}"), task) for task in tasks])

    @property
    def chance(self) -> NDArray[np.float64]:
        """Accuracy of a guess among each task's classes, shape (T,)."""
        return np.array([1 / len(task.classes) for task in self.stream.tasks])

    @property
    def task_aware(self) -> NDArray[np.float64]:
        """Accuracy on each task after the last task, with the task id given, shape (T,)."""
        return np.array([_task_aware(self.last, task) for task in range(len(self.matrix))])

    @cached_property
    def over_images(self) -> Matrix:
        """Accuracy over all test images of the tasks seen, after each task, shape (T,)."""
        counts = np.bincount(self.last["task"], minlength=len(self.matrix))
        return accuracy_over_images_curve(self.matrix, counts)

    @property
    def train_entropy(self) -> float | None:
        """Mean entropy over gradient steps; None without gradient steps."""
        steps = self.folder.read_steps()
        return float(steps["train/entropy"].mean()) if len(steps) else None

    @cached_property
    def label_fit(self) -> dict[str, float | None]:
        """Shares of training labels fitted, by measure."""
        return shares(self.folder.read_label_fits())

    @cached_property
    def parameters(self) -> dict[str, int]:
        """Parameter counts by part."""
        return parameter_counts(self.policy)


def trainable_parameters(policy: ViTPolicy) -> int:
    """Number of scalars that are trained by gradients."""
    return sum(tensor.numel() for tensor in policy.trainable_parameters) if policy.method.learns_by_gradient else 0


def state_bytes(policy: ViTPolicy) -> int:
    """Bytes kept from task to task in addition to the pretrained backbone."""
    network = policy.network
    kept = [*network.peft_parameters, *policy.method.frozen_adapters(network), *network.head.parameters()]
    return sum(tensor.numel() * tensor.element_size() for tensor in kept) + policy.method.state_bytes


def _task_aware(answers: Mapping[str, NDArray[Any]], task: int) -> float:
    """Accuracy on a task with the task id given; NaN if there are no answers on it."""
    right = answers["task_predictions"] == answers["labels"]
    rows = answers["task"] == task
    return float(right[rows].mean()) if rows.any() else float("nan")

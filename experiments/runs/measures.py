"""The measures of a finished run, as `experiments.runs.metrics.DEFINITIONS` has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from agents.policy import ViTPolicy, parameter_counts
from cls_env import TaskStream
from experiments.runs.label_fit import shares
from experiments.runs.metrics import (
    accuracy_curve,
    accuracy_over_images_curve,
    average_accuracy,
    backward_transfer,
    expected_calibration_error,
    final_accuracy,
    forgetting,
    forward_transfer,
    negative_log_likelihood,
    plasticity,
)
from experiments.runs.run_folder import RunFolder
from experiments.runs.weight_change import parameter_distance, weight_distance

LARGEST_NLL = 1e4
"""Nats; a policy that is wrong on every image and sure of it has some hundred, one that diverged has millions."""


def refuse_absurd(metrics: Mapping[str, Any], learning_rate: float) -> None:
    """Check that measures are those of a policy that learned, before they are kept as a result.

    Args:
        metrics: Numbers, lists of numbers, or None where a run has no such measure.
        learning_rate: Of the run, for the message.

    Raises:
        ValueError: A measure is not finite, or `nll` is above `LARGEST_NLL`.
    """
    for name, value in metrics.items():
        values = np.ravel(np.array([] if value is None else value, dtype=float))
        if not np.isfinite(values).all() or (name == "nll" and (values > LARGEST_NLL).any()):
            raise ValueError(
                f"training diverged: {name} is {value} with learning rate {learning_rate:g}; use a smaller "
                "--learning-rate"
            )


def summary(folder: RunFolder, stream: TaskStream) -> dict[str, Any]:
    """What the files of a run tell, once all its tasks are learned."""
    matrix = folder.read_matrix()
    last = folder.read_predictions(f"after_task_{len(matrix) - 1}")
    before = [folder.read_predictions(f"before_task_{task}") for task in range(len(matrix))]
    aware = _task_aware(last, len(matrix))
    over_images = accuracy_over_images_curve(matrix, np.bincount(last["task"], minlength=len(matrix)))
    steps = folder.read_steps()
    chance = np.array([1 / len(task.classes) for task in stream.tasks])
    return {
        "final_accuracy": final_accuracy(matrix),
        "average_accuracy": average_accuracy(matrix),
        "forgetting": forgetting(matrix),
        "test_entropy": float(last["entropy"].mean()),
        "accuracy_curve": accuracy_curve(matrix).tolist(),
        "final_accuracy_over_images": float(over_images[-1]),
        "accuracy_over_images_curve": over_images.tolist(),
        "per_task_accuracy": matrix[-1].tolist(),
        "backward_transfer": backward_transfer(matrix),
        "forward_transfer": forward_transfer(
            np.array([_task_aware(answers, task + 1)[task] for task, answers in enumerate(before)]), chance
        ),
        "plasticity": plasticity(matrix),
        "task_aware_accuracy": float(aware.mean()),
        "per_task_aware_accuracy": aware.tolist(),
        "between_task_confusion": float(aware.mean()) - final_accuracy(matrix),
        "ece": expected_calibration_error(last["confidence"], last["predictions"] == last["labels"]),
        "nll": negative_log_likelihood(last["log_likelihood"]),
        "task_test_entropy": float(last["task_entropy"].mean()),
        "train_entropy": float(steps["train/entropy"].mean()) if len(steps) else None,
        **shares(folder.read_label_fits()),
    }


def policy_measures(policy: ViTPolicy, initial: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the policy at the end tells beside its `experiments.runs.weight_change.initial_values`."""
    counts = parameter_counts(policy)
    return {
        "parameter_distance": parameter_distance(policy, initial),
        "weight_distance": weight_distance(policy, initial),
        "peft_parameters": counts["peft"],
        "method_parameters": counts["method"],
        "trainable_parameters": sum(tensor.numel() for tensor in policy.trainable_parameters)
        if policy.method.learns_by_gradient
        else 0,
        "state_bytes": state_bytes(policy),
        "head_parameters": counts["head"],
    }


def state_bytes(policy: ViTPolicy) -> int:
    """Bytes that must be kept from task to task beside the pretrained backbone."""
    kept = [
        *policy.network.peft_parameters,
        *policy.method.frozen_adapters(policy.network),
        *policy.network.head.parameters(),
    ]
    return sum(tensor.numel() * tensor.element_size() for tensor in kept) + policy.method.state_bytes


def _task_aware(answers: dict[str, NDArray[Any]], tasks: int) -> NDArray[np.float64]:
    """Accuracy on each task, the task being named; NaN where the answers have none of it."""
    right = answers["task_predictions"] == answers["labels"]
    here = [answers["task"] == task for task in range(tasks)]
    return np.array([right[rows].mean() if rows.any() else np.nan for rows in here])

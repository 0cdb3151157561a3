"""Measures of continual learning, from the accuracy matrix.

`matrix[t, i]` is the accuracy on task i's test images after learning task t, in [0, 1], and NaN for i > t. No task id
is given at test: the choice is among all classes seen so far.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

DEFINITIONS = {
    "final_accuracy": "A_T: mean over all tasks of the accuracy after the last task",
    "average_accuracy": "mean over t of A_t, A_t being the mean accuracy over tasks 1 ... t after task t",
    "forgetting": "mean over all tasks but the last of (best accuracy before the last task - accuracy after it)",
    "test_entropy": "mean entropy in nats of the policy over all classes seen, on all test images after the last task",
    "validation_accuracy": "mean over all tasks of the accuracy on their held-out training images, after the last task",
    "seconds": "wall time since the run was last started, with its tests",
}


def accuracy_curve(matrix: Matrix) -> Matrix:
    """A_t for every t: the mean accuracy over the tasks seen by then, shape (T,).

    >>> accuracy_curve(np.array([[0.8, np.nan], [0.6, 1.0]])).tolist()
    [0.8, 0.8]
    """
    return np.array([row[: index + 1].mean() for index, row in enumerate(matrix)])


def final_accuracy(matrix: Matrix) -> float:
    """A_T, the mean accuracy over all tasks at the end."""
    return float(accuracy_curve(matrix)[-1])


def average_accuracy(matrix: Matrix) -> float:
    """The mean of A_t over t."""
    return float(accuracy_curve(matrix).mean())


def forgetting(matrix: Matrix) -> float:
    """How far tasks fell from their best: mean over i < T of max_{t < T} a[t, i] - a[T, i]; 0 for a single task.

    Source: Chaudhry et al., "Riemannian Walk for Incremental Learning", ECCV 2018.

    >>> round(forgetting(np.array([[0.8, np.nan], [0.6, 1.0]])), 3)
    0.2
    """
    if len(matrix) == 1:
        return 0.0
    best = np.nanmax(matrix[:-1, :-1], axis=0)
    return float((best - matrix[-1, :-1]).mean())

"""Metrics of continual learning, from the accuracy matrix and from predicted probabilities.

`matrix[t, i]` is the accuracy on task i's test images after learning task t, in [0, 1], and NaN for i > t. No task id
is given at test: the choice is among all classes seen so far. It is given where a measure is called task-aware, and
throughout in a task-incremental stream, where "all classes seen" are those of the task.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
CALIBRATION_BINS = 15


def accuracy_curve(matrix: Matrix) -> Matrix:
    """A_t for every t: the mean accuracy over the tasks seen by then, shape (T,).

    >>> accuracy_curve(np.array([[0.8, np.nan], [0.6, 1.0]])).tolist()
    [0.8, 0.8]
    """
    return np.array([row[: index + 1].mean() for index, row in enumerate(matrix)])


def final_accuracy(matrix: Matrix) -> float:
    """A_T, the mean accuracy over all tasks at the end."""
    return float(accuracy_curve(matrix)[-1])


def accuracy_over_images_curve(matrix: Matrix, images: NDArray[np.integer]) -> Matrix:
    """For every t, the accuracy over all test images of the tasks seen by then, shape (T,).

    Args:
        matrix: Accuracies on tasks, shape (T, T).
        images: Number of test images of each task, shape (T,).

    >>> accuracy_over_images_curve(np.array([[0.8, np.nan], [0.6, 1.0]]), np.array([30, 10])).round(3).tolist()
    [0.8, 0.7]
    """
    seen = [slice(index + 1) for index in range(len(matrix))]
    return np.array([np.average(row[tasks], weights=images[tasks]) for row, tasks in zip(matrix, seen, strict=True)])


def average_accuracy(matrix: Matrix) -> float:
    """The mean of A_t over t."""
    return float(accuracy_curve(matrix).mean())


def forgetting(matrix: Matrix) -> float:
    """Forgetting, the mean over i < T of max_{t < T} a[t, i] - a[T, i], or 0 for a single task.

    Source: Chaudhry et al., "Riemannian Walk for Incremental Learning", ECCV 2018.

    >>> round(forgetting(np.array([[0.8, np.nan], [0.6, 1.0]])), 3)
    0.2
    """
    if len(matrix) == 1:
        return 0.0
    best = np.nanmax(matrix[:-1, :-1], axis=0)
    return float((best - matrix[-1, :-1]).mean())


def backward_transfer(matrix: Matrix) -> float:
    """Backward transfer, the mean over i < T of a[T, i] - a[i, i], or 0 for a single task.

    Source: Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017, eq. 3.

    >>> round(backward_transfer(np.array([[0.8, np.nan], [0.6, 1.0]])), 3)
    -0.2
    """
    if len(matrix) == 1:
        return 0.0
    return float((matrix[-1, :-1] - np.diag(matrix)[:-1]).mean())


def forward_transfer(before: Matrix, fresh: Matrix) -> float:
    """Forward transfer, the mean over i > 1 of before[i] - fresh[i], or 0 for a single task.

    Source: Lopez-Paz and Ranzato, NeurIPS 2017, eq. 4.

    Args:
        before: Accuracy on each task just before learning it, shape (T,).
        fresh: That of a model that has learned nothing, shape (T,).

    >>> round(forward_transfer(np.array([0.5, 0.7]), np.array([0.5, 0.5])), 3)
    0.2
    """
    if len(before) == 1:
        return 0.0
    return float((before[1:] - fresh[1:]).mean())


def plasticity(matrix: Matrix) -> float:
    """Plasticity, the mean of a[i, i]: the accuracy on each task right after learning it.

    Source: Riemer et al., "Learning to Learn without Forgetting", ICLR 2019, where it is called learning accuracy.

    >>> round(plasticity(np.array([[0.8, np.nan], [0.6, 1.0]])), 3)
    0.9
    """
    return float(np.diag(matrix).mean())


def expected_calibration_error(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """Expected calibration error: mean over bins of |accuracy - confidence|, weighted by images.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. 3, with 15 bins of equal width.
    A confidence of exactly 1 belongs to the last bin, as in the paper; torchmetrics gives it its own bin.

    Args:
        confidence: Probability of the chosen class, in [0, 1], shape (N,).
        right: Whether the prediction is right, shape (N,).

    >>> round(expected_calibration_error(np.array([0.9, 0.9]), np.array([True, False])), 3)
    0.4
    """
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    bins = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=right.astype(float) - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def negative_log_likelihood(log_likelihood: NDArray[np.floating]) -> float:
    """Mean of -log pi(y|x) in nats, of log-likelihoods of shape (N,)."""
    return float(-log_likelihood.mean(dtype=np.float64))

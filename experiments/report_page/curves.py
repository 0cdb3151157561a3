"""The data of the curves: accuracies against what was spent, entropy in training, calibration and accuracy matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.report_page.collect import Run
from experiments.report_page.compact import compact
from experiments.report_page.contenders import Row
from experiments.reports.statistics import mean_interval
from experiments.reports.training_curves import entropy_by_progress
from experiments.rl.curve import read_curve
from experiments.runs.metrics import CALIBRATION_BINS, accuracy_curve

Array = NDArray[np.float64]
ENTROPY_POINTS = 40
"""Points of the entropy curve of each task."""
COSTS = {
    "tasks": "tasks learned",
    "images": "training images",
    "gradient_steps": "gradient steps",
    "seconds": "seconds of learning",
}
"""What accuracy curves are drawn against, and the titles of the axes."""
_OF_CURVE = {"images": "env_steps", "gradient_steps": "gradient_steps", "seconds": "seconds"}
_OF_STEPS = {"images": "time/total_timesteps", "gradient_steps": "train/n_updates"}


def task_curve(row: Row) -> list[list[Any]]:
    """For each number of tasks learned: this number, mean accuracy in percent, low and high, cut at 0 and 100 %."""
    return _points(np.arange(1.0, 1 + len(row.runs[0].matrix)), _stacked(map(_after_tasks, row.runs)))


def cost_curves(row: Row) -> dict[str, list[list[Any]]]:
    """The same against each other one of `COSTS` that the runs have recorded.

    Raises:
        ValueError: A file is damaged.
    """
    curves = {}
    read = _rl_curves if row.runs[0].of_rl else _step_curves
    recorded = [read(run) for run in row.runs]
    for cost in COSTS:
        if all(cost in each for each in recorded):
            spent, accuracy = (_stacked(each[cost][place] for each in recorded) for place in (0, 1))
            curves[cost] = _points(spent.mean(axis=0), accuracy)
    return curves


def _after_tasks(run: Run) -> Array:
    return accuracy_curve(run.matrix)


def _rl_curves(run: Run) -> dict[str, tuple[Array, Array]]:
    """The costs and accuracies of an algorithm's run at each of its tests."""
    curve = read_curve(run.folder)
    spent = {cost: curve[column].to_numpy() for cost, column in _OF_CURVE.items()}
    return {cost: (values, curve["accuracy"].to_numpy()) for cost, values in spent.items() if values[-1] > 0}


def _step_curves(run: Run) -> dict[str, tuple[Array, Array]]:
    """The images and gradient steps of a run at the end of each task, with the accuracy after it."""
    steps = run.steps
    if not set(_OF_STEPS.values()) <= set(steps) or steps["train/task"].nunique() != len(run.matrix):
        return {}
    ends = steps.groupby("train/task")[list(_OF_STEPS.values())].last().astype(float)
    return {cost: (ends[column].to_numpy(), _after_tasks(run)) for cost, column in _OF_STEPS.items()}


def entropy_curve(row: Row) -> list[list[Any]]:
    """Mean output entropy in nats over the classes of the task in training: for each task, `ENTROPY_POINTS` values.

    The values of a task are at equal distances from its first to its last gradient step. Empty for runs that learn
    without gradient steps.

    Raises:
        ValueError: A step log is damaged, or missing although the run has learned by gradients.
    """
    runs = []
    for run in row.runs:
        if run.steps.empty and run.metrics.get("train_entropy") is not None:
            raise ValueError(f"{run.folder.steps} has no step logs: no entropy in training is shown")
        runs.append(entropy_by_progress(run.steps, ENTROPY_POINTS))
    return [compact(values) for values in _stacked(runs).mean(axis=0)]


def calibration(answers: Sequence[Mapping[str, NDArray[Any]]]) -> list[list[Any]]:
    """Points of a reliability diagram: mean confidence, accuracy and number of images of each bin that has any.

    Args:
        answers: Predictions of the runs on all test images after the last task; they are pooled.

    Returns:
        Confidence and accuracy in percent, for equal bins of the confidence as those of `expected_calibration_error`.
    """
    confidence = np.concatenate([each["confidence"] for each in answers]).astype(float)
    right = np.concatenate([each["predictions"] == each["labels"] for each in answers])
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    bins = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, CALIBRATION_BINS - 1)
    points = []
    for place in np.unique(bins):
        here = bins == place
        points.append([*compact([100 * confidence[here].mean(), 100 * right[here].mean()]), int(here.sum())])
    return points


def matrices(row: Row) -> dict[str, list[list[Any]]]:
    """The mean accuracy matrix over seeds and the forgetting matrix, in percent and points; None above the diagonal."""
    kept = [run.matrix for run in row.runs if run.matrix.shape == row.runs[0].matrix.shape]
    return {
        name: [compact(line) for line in 100 * np.mean([function(matrix) for matrix in kept], axis=0)]
        for name, function in _MATRICES.items()
    }


def forgetting_matrix(matrix: Array) -> Array:
    """The best accuracy on each task so far minus the present one, after each task.

    Args:
        matrix: Accuracy on each task after each task, shape (T, T); NaN above the diagonal.

    >>> forgetting_matrix(np.array([[0.75, np.nan], [0.5, 1.0]])).tolist()
    [[0.0, nan], [0.25, 0.0]]
    """
    return np.fmax.accumulate(matrix, axis=0) - matrix


_MATRICES: dict[str, Callable[[Array], Array]] = {"accuracy": lambda matrix: matrix, "forgetting": forgetting_matrix}


def _stacked(curves: Any) -> Array:
    """Curves of several seeds as rows, cut to the length of the shortest."""
    given = list(curves)
    shortest = min(map(len, given))
    return np.array([curve[:shortest] for curve in given])


def _points(spent: Array, accuracy: Array) -> list[list[Any]]:
    intervals = [mean_interval(100 * values) for values in accuracy.T]
    return [
        compact([x, each.mean, *np.clip([each.low, each.high], 0, 100)])
        for x, each in zip(spent, intervals, strict=False)
    ]

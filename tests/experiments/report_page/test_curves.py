"""The data of curves and predictions, against hand-made files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.report_page.answers import class_accuracies, confusions, task_boundaries, worst_errors
from experiments.report_page.collect import Run
from experiments.report_page.contenders import Row
from experiments.report_page.curves import (
    ENTROPY_POINTS,
    calibration,
    cost_curves,
    entropy_curve,
    matrices,
    task_curve,
)
from experiments.runs.metrics import expected_calibration_error
from experiments.runs.run_folder import RunFolder

TASKS = [{"classes": ["a", "b"]}, {"classes": ["c"]}]


def run_in(folder: Path, matrix: list[list[float]], seed: int = 0, tasks: list[Any] = TASKS) -> Run:
    steps = folder / "steps"
    steps.mkdir(parents=True, exist_ok=True)
    for task in range(len(matrix)):
        log = {"train/task": task, "train/progress": np.linspace(0, 1, 9), "train/entropy": np.linspace(1, 0, 9)}
        ends = {
            "time/total_timesteps": np.arange(1, 10) * 10 + 90 * task,
            "train/n_updates": np.arange(1, 10) + 9 * task,
        }
        pd.DataFrame(log | ends).to_csv(steps / f"progress_task{task}.csv", index=False)
    return Run(RunFolder(folder), {"seed": seed}, {"stream": {"tasks": tasks}}, {}, np.array(matrix))


def answers_of(labels: list[int], predictions: list[int], confidence: list[float], task: list[int]) -> dict[str, Any]:
    arrays = {"labels": labels, "predictions": predictions, "confidence": confidence, "task": task}
    return {name: np.array(values) for name, values in arrays.items()}


def test_accuracies_are_means_over_seeds_against_what_was_spent(tmp_path: Path) -> None:
    nan = float("nan")
    runs = [
        run_in(tmp_path / str(seed), [[0.8 + shift, nan], [0.4, 0.6 + shift]], seed)
        for seed, shift in ((0, 0.0), (1, 0.1))
    ]
    row = Row(0, "x", "x", runs, {})
    curves = {"tasks": task_curve(row)} | cost_curves(row)
    assert set(curves) == {"tasks", "images", "gradient_steps"}
    assert [point[:2] for point in curves["tasks"]] == [[1, 85], [2, 52.5]]
    assert [point[0] for point in curves["images"]] == [90, 180]
    assert [point[0] for point in curves["gradient_steps"]] == [9, 18]
    assert all(0 <= low <= mean <= high <= 100 for points in curves.values() for _, mean, low, high in points)


def test_runs_without_step_logs_have_no_such_curves(tmp_path: Path) -> None:
    row = Row(0, "x", "x", [Run(RunFolder(tmp_path), {"seed": 0}, {}, {}, np.array([[0.5]]))], {})
    assert task_curve(row) == [[1, 50, None, None]] and cost_curves(row) == {}
    assert entropy_curve(row) == []


def test_step_logs_that_a_run_must_have_are_missed(tmp_path: Path) -> None:
    run = Run(RunFolder(tmp_path), {"seed": 0}, {}, {"train_entropy": 0.5}, np.array([[0.5]]))
    with pytest.raises(ValueError, match="has no step logs"):
        entropy_curve(Row(0, "x", "x", [run], {}))


def test_entropy_is_on_one_grid(tmp_path: Path) -> None:
    curve = entropy_curve(Row(0, "x", "x", [run_in(tmp_path, [[0.5, np.nan], [0.5, 0.5]])], {}))
    assert len(curve) == 2 and {len(values) for values in curve} == {ENTROPY_POINTS}
    assert curve[0][0] == pytest.approx(0.875) and curve[1][-1] == pytest.approx(0.125)  # means of three steps


def test_matrices_have_nothing_above_the_diagonal(tmp_path: Path) -> None:
    found = matrices(Row(0, "x", "x", [run_in(tmp_path, [[0.75, np.nan], [0.5, 1.0]])], {}))
    assert found == {"accuracy": [[75, None], [50, 100]], "forgetting": [[0, None], [25, 0]]}


def test_calibration_has_the_bins_of_the_expected_calibration_error() -> None:
    random = np.random.default_rng(0)
    confidence, right = random.uniform(size=200), random.integers(0, 2, size=200)
    answers = answers_of(right.tolist(), [1] * 200, confidence.tolist(), [0] * 200)
    points = np.array(calibration([answers]))
    error = (np.abs(points[:, 0] - points[:, 1]) * points[:, 2]).sum() / 200 / 100
    assert error == pytest.approx(expected_calibration_error(confidence, right == 1), rel=1e-3)
    assert points[:, 2].sum() == 200


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    other = [{"classes": ["c", "b"]}, {"classes": ["a"]}]
    tests = [
        (run_in(tmp_path / "0", [[1.0]]), answers_of([0, 0, 2], [0, 1, 2], [0.5] * 3, [0, 0, 1])),
        (run_in(tmp_path / "1", [[1.0]], 1, other), answers_of([0, 2], [1, 2], [0.5] * 2, [0, 1])),
    ]
    assert class_accuracies(tests) == [["a", 75, 50, 100, 2], ["c", 50, 0, 100, 1]]


def test_confusions_and_errors_are_those_of_the_predictions(tmp_path: Path) -> None:
    answers = answers_of([0, 1, 1, 2], [1, 1, 0, 0], [0.6, 0.9, 0.8, 0.8], [0, 0, 0, 1])
    assert confusions(answers) == [[0, 1, 1], [1, 0, 1], [1, 1, 1], [2, 0, 1]]
    assert worst_errors(answers, 2) == [(0, 2, 1, 0, 0.8), (1, 0, 2, 0, 0.8)]
    assert task_boundaries(run_in(tmp_path, [[1.0]])) == [2]
    assert task_boundaries(run_in(tmp_path, [[1.0]], tasks=[{"classes": ["a", "b"]}] * 2)) == []

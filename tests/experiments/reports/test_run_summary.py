"""Lines, table and figures of one run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from experiments.config.resolved import resolve
from experiments.config.settings import RunConfig
from experiments.reports.figures import accuracy_curves, output_entropy, save_figures
from experiments.reports.run_summary import images_line, summary
from experiments.reports.run_watch import duration, task_line
from experiments.reports.tables import summary_table
from experiments.runs.run_folder import RunFolder
from experiments.runs.watch import TaskReport

pytestmark = pytest.mark.long

OPTIONS = ("num_classes=4", "train_per_class=5", "test_per_class=2")
SMALL = RunConfig(model="test_vit", pretrained=False, options=OPTIONS, num_tasks=2, device="cpu")


def test_the_line_of_a_task_says_what_is_left() -> None:
    matrix = np.array([[0.9, np.nan, np.nan], [0.7, 0.8, np.nan]])
    assert task_line(TaskReport(matrix, 30.0, 200), (100, 100, 200)) == (
        "task 2 of 3: 80.0 % on it, 75.0 % on all seen classes, forgetting 20.0 points; 30 s; about 1 min 00 s left "
        "for 1 task"
    )
    last = task_line(TaskReport(matrix[:1, :1], 2.0, 100), (100,))
    assert last == "task 1 of 1: 90.0 % on it, 90.0 % on all seen classes, forgetting 0.0 points; 2.0 s; done"
    without_images = task_line(TaskReport(matrix[:1], 2.0, 0), (0, 0, 0))
    assert without_images.endswith("about 4.0 s left for 2 tasks")


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0.0, 9.94, 9.96, 59.6, 3599.6, 90_000)] == [
        "0.0 s", "9.9 s", "10 s", "1 min 00 s", "1 h 00 min", "25 h 00 min",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"epochs": 2, "batch_size": 8},
            "2 epochs of 20 images, in batches of 8; the last batch of a task is filled up if it is not full: "
            "48 images",
        ),
        ({"epochs": 1, "batch_size": 5}, "1 epoch of 20 images, in batches of 5"),
        (
            {"epochs": 1, "batch_size": 4, "scenario": "online"},
            "1 epoch of 20 images, in batches of 4; the last batch of a task is left out if it is not full: 16 images",
        ),
        (
            {"epochs": 1, "batch_size": 5, "method": "joint"},
            "1 epoch of 30 images, those of other tasks included, as joint learns from them again, in batches of 5",
        ),
        (
            {"method": "ncm", "peft": "none", "objective": "none"},
            "ncm learns without gradients, from 20 images",
        ),
    ],
)
def test_numbers_of_images_are_explained(changes: dict[str, object], line: str) -> None:
    settings = {"model": "test_vit", "pretrained": False, "options": OPTIONS, "num_tasks": 2, "device": "cpu"} | changes
    assert images_line(resolve(RunConfig(**settings))) == line  # type: ignore[arg-type]


def test_the_table_has_units_and_no_lines_without_values() -> None:
    console = Console(width=120, record=True)
    console.print(
        summary({"final_accuracy": 0.694, "forgetting": 0.07125, "test_entropy": 0.61, "forward_transfer": None})
    )
    lines = [line.split() for line in console.export_text().splitlines()]
    assert lines[2:] == [
        ["A_T,", "accuracy", "after", "the", "last", "task", "69.4", "%", "final_accuracy"],
        ["forgetting", "7.1", "points", "forgetting"],
        ["entropy", "of", "the", "answers", "0.61", "nats", "test_entropy"],
    ]


def runs_of(finals: list[float], folder: Path) -> pd.DataFrame:
    """Runs of one contender with these final accuracies."""
    rows = [
        {"condition": "c", "contender": "epg", "seed": seed, "final_accuracy": final, "average_accuracy": final}
        | {"forgetting": 0.0, "accuracy_curve": [0.9, final], "test_entropy": 1.0, "folder": str(folder)}
        for seed, final in enumerate(finals)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("finals", [[0.6715, 0.6735], [0.6725, 0.6725], [0.1, 0.2, 0.7165], [0.67249, 0.6725]])
def test_legend_and_table_round_alike(finals: list[float], tmp_path: Path) -> None:
    runs = runs_of(finals, tmp_path)
    label = accuracy_curves(runs).axes[0].get_legend_handles_labels()[1][0]
    of_table = summary_table(runs, "epg")["A_T %"][0].split(" ± ")[0]
    assert label == f"EPG  A_T {of_table} %"


def lies_within(figure: Figure) -> bool:
    """Whether each curve of a figure lies within its axes, off the frame."""
    lines = [(axes.get_ylim(), line.get_ydata()) for axes in figure.axes for line in axes.get_lines()]
    return bool(lines) and all(low <= np.min(data) and np.max(data) < high for (low, high), data in lines)


def test_curves_of_constant_entropy_are_visible(tmp_path: Path) -> None:
    steps = tmp_path / "steps"
    steps.mkdir()
    log = pd.DataFrame({"train/task": 0, "train/progress": np.arange(7) / 7, "train/entropy": np.log(10)})
    log.to_csv(steps / "progress_task0.csv", index=False)
    runs = runs_of([0.5], tmp_path)
    assert len(RunFolder(tmp_path).read_steps()) == 7
    assert lies_within(output_entropy(runs)) and lies_within(accuracy_curves(runs))


def test_a_figure_in_which_nothing_is_drawn_is_left_out(tmp_path: Path) -> None:
    runs = runs_of([0.5], tmp_path)  # learned without gradient steps
    figures = {"output_entropy": output_entropy(runs), "accuracy": accuracy_curves(runs)}
    assert [file.name for file in save_figures(figures, tmp_path)] == ["accuracy.png", "accuracy.pdf"]

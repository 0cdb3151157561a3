"""Figures that explain a comparison, drawn from the run folders alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from numpy.typing import NDArray

from cls_env import TaskStream
from experiments.files import replace_file
from experiments.reports.axes import freeze_layout, legend_columns, legend_outside, thinned
from experiments.reports.captions import add_caption, means_of, name_dataset, seeds_of
from experiments.reports.colors import looks
from experiments.reports.display_names import display_name
from experiments.reports.numbers import rounded
from experiments.reports.statistics import mean_interval
from experiments.reports.training_curves import SMOOTHED_OVER, entropy_by_progress
from experiments.runs.run_folder import RunFolder

MOST_IN_A_ROW = 6
"""The most panels of one condition in a row."""
ENTROPY_POINTS = 100
"""Points of the entropy curve of each task."""
FORMATS = ("png", "pdf")
"""Files of each figure: PNG for reading, PDF for papers, with fonts that can be edited (TrueType)."""
PAIRS = "Seeds differ in their classes and images, so see the table for differences, which are paired by seed."
_RIGHT, _WRONG = "#1a9850", "#d73027"


def comparison_figures(runs: pd.DataFrame, stream: TaskStream) -> dict[str, Figure]:
    """All figures of a comparison of objectives, by name.

    Args:
        runs: One row a run, as `run_all` returns them.
        stream: The stream of the first seed, for the sample images.
    """
    return {
        "accuracy_after_each_task": accuracy_curves(runs),
        "accuracy_matrices": accuracy_matrices(runs),
        "output_entropy": output_entropy(runs),
        "choices": choices(runs, stream),
    }


def save_figures(figures: dict[str, Figure], folder: Path, dataset: str = "") -> list[Path]:
    """Write each figure in which something is drawn as `<folder>/<name>.png` and `.pdf`.

    The same figure gives the same files: they hold no date.

    Args:
        figures: The figures by name.
        folder: Where the files go.
        dataset: Name of the images, with which the captions begin.

    Returns:
        The files, the PNG and the PDF of a figure one after the other.
    """
    files = []
    for name, figure in figures.items():
        if not any(axes.has_data() for axes in figure.axes):
            continue
        name_dataset(figure, dataset)
        _disable_math_in_names(figure)
        freeze_layout(figure)
        for kind in FORMATS:
            files.append(folder / f"{name}.{kind}")
            replace_file(files[-1], partial(_write, figure, kind))
    return files


def _write(figure: Figure, kind: str, file: Path) -> None:
    undated = {"CreationDate": None} if kind == "pdf" else {}
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        figure.savefig(file, dpi=110, format=kind, bbox_inches="tight", pad_inches=0.08, metadata=undated)


def _disable_math_in_names(figure: Figure) -> None:
    """Show names with a dollar sign as they are. Numbers on logarithmic axes are still typeset."""
    axes = [axis for panel in figure.axes for axis in (panel.xaxis, panel.yaxis)]
    typeset = {
        id(label) for axis in axes if axis.get_scale() != "linear" for label in axis.get_ticklabels(which="both")
    }
    for text in figure.findobj(Text):
        if isinstance(text, Text) and id(text) not in typeset:
            text.set_parse_math(False)


def final_accuracies(runs: pd.DataFrame) -> Figure:
    """A_T of each contender: the mean as a bar, every seed as a dot."""
    figure = Figure(figsize=(6.4, 0.6 + 0.5 * runs["contender"].nunique()), layout="constrained")
    axes = figure.subplots()
    look = looks(runs["contender"])
    for position, (contender, group) in enumerate(_contenders(runs)):
        values = 100 * group["final_accuracy"].to_numpy()
        axes.barh(position, values.mean(), color=look[contender].color, alpha=0.6)
        axes.plot(values, [position] * len(values), "k.", alpha=0.7)
        axes.text(values.max() + 1.5, position, rounded(values.mean()), va="center")
    axes.set_yticks(range(runs["contender"].nunique()), [display_name(name) for name in runs["contender"].unique()])
    axes.set(xlim=(0, 105), xlabel="final accuracy on all classes, %")
    axes.invert_yaxis()
    add_caption(figure, f"Bars and numbers: means over {seeds_of(runs)}. Dots: single seeds.")
    return figure


def accuracy_curves(runs: pd.DataFrame) -> Figure:
    """A_t after each task: mean over seeds, with its 95 % interval as a band."""
    look = looks(runs["contender"])
    labels = [f"{display_name(contender)}  A_T 00.0 %" for contender in look]
    columns = legend_columns(labels, inches=4.6)
    figure, panels = _panels(runs, height=3.2 + 0.22 * -(-len(labels) // columns), sharey=True)
    for axes, (condition, here) in zip(panels, _conditions(runs), strict=True):
        for contender, group in _contenders(here):
            color, line, marker = look[contender]
            curves = 100 * np.array(group["accuracy_curve"].tolist())
            tasks = np.arange(1, curves.shape[1] + 1)
            mean, low, high = np.array([mean_interval(values) for values in curves.T]).T
            label = f"{display_name(contender)}  A_T {rounded(mean[-1])} %"
            axes.plot(tasks, mean, color=color, linestyle=line, marker=marker, markersize=4, label=label)
            axes.fill_between(tasks, *np.clip([low, high], 0, 100), color=color, alpha=0.13, linewidth=0)
        axes.set(title=display_name(condition), xlabel="tasks learned", xticks=thinned(tasks.tolist()))
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=columns)
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("accuracy on all classes seen, %")
    add_caption(figure, means_of(seeds_of(runs)), PAIRS)
    return figure


def accuracy_matrices(runs: pd.DataFrame) -> Figure:
    """Accuracy on each task (columns) after each task (rows), mean over seeds. Forgetting is down a column."""
    conditions, contenders = list(_conditions(runs)), list(runs["contender"].unique())
    columns = min(len(contenders), MOST_IN_A_ROW)
    rows = -(-len(contenders) // columns)
    figure = Figure(figsize=(3.1 * columns, 2.9 * rows * len(conditions)), layout="constrained")
    grid = figure.subplots(rows * len(conditions), columns, squeeze=False)
    for place, (condition, here) in enumerate(conditions):
        cells = grid[place * rows : (place + 1) * rows].flatten()
        for axes in cells[len(contenders) :]:
            axes.set_visible(False)
        for axes, contender in zip(cells, contenders, strict=False):
            folders = here.loc[here["contender"] == contender, "folder"]
            matrix = 100 * np.mean([RunFolder(Path(path)).read_matrix() for path in folders], axis=0)
            shown = _matrix(axes, matrix)
            axes.set_title(f"{display_name(contender)}\n{display_name(condition)}", fontsize=9)
    figure.colorbar(shown, ax=grid, label="accuracy, %", shrink=0.7)
    add_caption(figure, f"Accuracy on each task after each task, mean over {seeds_of(runs)}.")
    return figure


def _matrix(axes: Axes, matrix: NDArray[np.float64]) -> AxesImage:
    """Draw an accuracy matrix in %, with numbers if it is small."""
    shown = axes.imshow(matrix, vmin=0, vmax=100, cmap="viridis")
    if len(matrix) <= 10:
        for (row, column), value in np.ndenumerate(matrix):
            if column <= row:
                color = "white" if value < 60 else "black"
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=color, fontsize=8)
    ticks = thinned(range(len(matrix)))
    axes.set(xlabel="tested on task", ylabel="after task")
    axes.set_xticks(ticks, [str(tick + 1) for tick in ticks])
    axes.set_yticks(ticks, [str(tick + 1) for tick in ticks])
    return shown


def output_entropy(runs: pd.DataFrame) -> Figure:
    """Entropy of the policy over the current task's classes during training. Every task starts near-uniform."""
    look = looks(runs["contender"])
    columns = legend_columns(map(display_name, look), inches=max(6.4, 4.6 * runs["condition"].nunique()))
    figure, panels = _panels(runs, height=3.2 + 0.22 * -(-len(look) // columns), sharey=True)
    tasks = 0
    for axes, (condition, here) in zip(panels, _conditions(runs), strict=True):
        for contender, group in _contenders(here):
            color, line, _ = look[contender]
            logs = [RunFolder(Path(path)).read_steps() for path in group["folder"]]
            entropy = np.mean([entropy_by_progress(steps, ENTROPY_POINTS) for steps in logs], axis=0)
            if not len(entropy):  # learned without gradient steps
                continue
            tasks = len(entropy)
            for task, values in enumerate(entropy):
                progress = task + np.linspace(0, 1, len(values))
                label = None if task else display_name(contender)
                axes.plot(progress, values, color=color, linestyle=line, linewidth=1.2, label=label)
        axes.set(title=display_name(condition), xlabel="task, from its first to its last gradient step")
        ticks = thinned(range(tasks))
        axes.set_xticks([task + 0.5 for task in ticks], [str(task + 1) for task in ticks])
        axes.grid(alpha=0.25)
    highest = max((line.get_ydata().max() for axes in panels for line in axes.get_lines()), default=0.0)  # type: ignore[union-attr]
    panels[0].set(ylabel="output entropy, nats", ylim=(0, 1.05 * highest or None))  # no curve lies on the frame
    legend_outside(figure, *panels[0].get_legend_handles_labels())
    add_caption(figure, f"Means over {seeds_of(runs)}, smoothed over {SMOOTHED_OVER} gradient steps.")
    return figure


def choices(runs: pd.DataFrame, stream: TaskStream, images_per_task: int = 2) -> Figure:
    """Test images with the predicted classes after their task and after the last task; and before it, if tested then.

    A prediction is shown as a training image of that class, framed green if it is right and red if it is wrong.
    All contenders are of the first condition and seed; the images are the first ones of the first classes of each task.
    """
    here = runs[(runs["condition"] == runs["condition"].iloc[0]) & (runs["seed"] == runs["seed"].iloc[0])]
    tasks = stream.tasks[:8]
    picked = [(task.index, position) for task in tasks for position in _spread(len(task.test_indices), images_per_task)]
    moments = [("before its task", "before_task_{task}"), ("after its task", "after_task_{task}")]
    if not all(RunFolder(Path(path)).has_predictions("before_task_0") for path in here["folder"]):
        moments = moments[1:]
    last = ("after the last", f"after_task_{len(stream.tasks) - 1}")
    lines = [("test image", None, "")]
    for contender, path in zip(here["contender"], here["folder"], strict=True):
        lines += [(f"{display_name(contender)}: {title}", path, moment) for title, moment in (*moments, last)]
    figure = Figure(figsize=(1.6 + 0.72 * len(picked), 0.76 * len(lines) + 0.3), layout="constrained")
    grid = figure.subplots(len(lines), len(picked), squeeze=False)
    for row, (title, path, moment) in zip(grid, lines, strict=True):
        for axes, (task, position) in zip(row, picked, strict=True):
            index = stream.tasks[task].test_indices[position]
            label = stream.test_labels[index]
            if path is None:
                _show(axes, stream.dataset.test_images[index], None)
                axes.set_title(f"task {task + 1}", fontsize=8)
            else:
                chosen = _choice(RunFolder(Path(path)), moment.format(task=task), task, position)
                _show(axes, _example(stream, chosen), _RIGHT if chosen == label else _WRONG)
        row[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=8)
    add_caption(
        figure,
        f"{display_name(str(here['condition'].iloc[0]))}, seed {here['seed'].iloc[0]}.",
        "A prediction is shown as a training image of the predicted class. Green frame: right. Red frame: wrong.",
    )
    return figure


def _choice(folder: RunFolder, moment: str, task: int, position: int) -> int:
    answers = folder.read_predictions(moment)
    return int(answers["predictions"][answers["task"] == task][position])


def _example(stream: TaskStream, label: int) -> NDArray[np.uint8]:
    return stream.dataset.train_images[np.flatnonzero(stream.clean_train_labels == label)[0]]


def _spread(length: int, count: int) -> NDArray[np.int64]:
    """`count` positions spread over `range(length)`."""
    return np.linspace(0, length - 1, count + 2).astype(np.int64)[1:-1]


def _show(axes: Axes, image: NDArray[np.uint8], frame: str | None) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=frame is not None, color=frame, linewidth=2.5)


def _conditions(runs: pd.DataFrame) -> Iterator[tuple[Any, pd.DataFrame]]:
    yield from runs.groupby("condition", sort=False)


def _contenders(runs: pd.DataFrame) -> Iterator[tuple[Any, pd.DataFrame]]:
    yield from runs.groupby("contender", sort=False)


def _panels(runs: pd.DataFrame, height: float, sharey: bool) -> tuple[Figure, list[Axes]]:
    count = runs["condition"].nunique()
    figure = Figure(figsize=(max(6.4, 4.6 * count), height), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, count, sharey=sharey)))

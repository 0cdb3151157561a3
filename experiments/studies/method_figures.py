"""Figures of methods: accuracy against cost, gain over an objective, and forgetting by task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from agents.methods import NO_OBJECTIVE
from experiments.reports.axes import cost_axis, legend_outside, thinned
from experiments.reports.captions import add_caption, seeds_of
from experiments.reports.colors import looks
from experiments.reports.display_names import display_name
from experiments.reports.statistics import paired_difference
from experiments.runs.run_folder import RunFolder
from experiments.studies.figures import SHAPES, STUDENT, draw_interval, rows_of

COSTS = {
    "trainable_parameters": ("trainable parameters", 1.0),
    "state_bytes": ("kept from task to task, kB", 1e-3),
    "seconds": ("seconds of a run", 1.0),
}
HOLLOW = "Hollow: a value far below the others, shown at the edge of its panel with its number."
FAR = 0.5
"""A gap of this share of the range or more separates values that are far below the others."""


def accuracy_against_cost(runs: pd.DataFrame) -> Figure:
    """A_T against parameters, memory and time, a point for each contender, and the Pareto front.

    Colors are methods, shapes are objectives.

    Args:
        runs: One row a run, with `method_name`, `objective_name`, `condition` and the costs.
    """
    conditions = list(runs["condition"].unique())
    look = looks(runs["method_name"])
    shapes = dict(zip(runs["objective_name"].unique(), SHAPES * len(runs), strict=False))
    figure = Figure(figsize=(12.5, 1.3 + 3.2 * len(conditions)), layout="constrained")
    grid = figure.subplots(len(conditions), len(COSTS), squeeze=False, sharey="row")
    hollow = ""
    for row, condition in zip(grid, conditions, strict=True):
        here = runs[runs["condition"] == condition]
        means = here.groupby(["method_name", "objective_name"], sort=False)[[*COSTS, "final_accuracy"]].mean()
        y = 100 * means["final_accuracy"].to_numpy(dtype=float)
        edge = lower_edge(y)
        hollow = HOLLOW if (y < edge).any() else hollow
        for axes, (cost, (title, factor)) in zip(row, COSTS.items(), strict=True):
            x = factor * means[cost].to_numpy(dtype=float)
            cost_axis(axes, x.tolist())
            for (method, objective), across, up in zip(means.index, x, y, strict=True):
                _point(axes, across, up, edge, look[method].color, shapes[objective])
            front = pareto_front(x, y)
            axes.step(x[front], np.maximum(y[front], edge), where="post", color="k", linewidth=0.8, alpha=0.5)
            axes.set(xlabel=title)
            axes.grid(alpha=0.25)
        row[0].set(ylabel="A_T, %", title=display_name(condition))
    handles = [Line2D([], [], color=look[method].color, marker="o", linestyle="") for method in look]
    handles += [Line2D([], [], color="#555555", marker=shape, linestyle="") for shape in shapes.values()]
    labels = [display_name(name) for name in look]
    labels += ["no objective" if name == NO_OBJECTIVE else display_name(name) for name in shapes]
    legend_outside(figure, handles, labels)
    add_caption(
        figure,
        f"Means over {seeds_of(runs)}. Line: the Pareto front, contenders that no cheaper one exceeds.",
        hollow,
    )
    return figure


def lower_edge(values: NDArray[np.float64]) -> float:
    """The lower edge of a panel: below all values but fewer than half that are far below the others.

    >>> lower_edge(np.array([3.0, 74.0, 75.0, 76.0, 78.0]))
    73.8
    """
    ordered = np.sort(values)
    gaps = np.diff(ordered)
    below = 1 + int(gaps.argmax()) if len(gaps) else 0
    if 2 * below >= len(values) or gaps.max() < FAR * np.ptp(values):
        return float(ordered[0])
    return float(ordered[below] - 0.05 * (ordered[-1] - ordered[below]))


def _point(axes: Axes, across: float, up: float, edge: float, color: str, shape: str) -> None:
    """A contender; below the edge it is hollow, at the edge, with its value."""
    if up >= edge:
        axes.plot(across, up, shape, color=color, markersize=6, alpha=0.85)
        return
    axes.plot(across, edge, shape, color=color, markersize=6, markerfacecolor="none")
    axes.annotate(f"{up:.1f}", (across, edge), (6, 0), textcoords="offset points", va="center", fontsize=8)


def gain_over(runs: pd.DataFrame, objective: str) -> Figure:
    """A_T less that of one objective with the same method, paired by seed: means and Student's 95 % intervals.

    Args:
        runs: One row a run, with `method_name` and `objective_name`.
        objective: The one that the others are compared to.
    """
    conditions = list(runs["condition"].unique())
    by_gradient = runs[runs["objective_name"] != NO_OBJECTIVE]
    methods = list(by_gradient["method_name"].unique())
    others = [name for name in by_gradient["objective_name"].unique() if name != objective]
    look = looks([objective, *others])
    height = 1.6 + 0.4 * max(2, len(methods))
    figure = Figure(figsize=(max(6.4, 4.6 * len(conditions)), height), layout="constrained")
    panels = list(np.atleast_1d(figure.subplots(1, len(conditions), sharey=True)))
    for axes, condition in zip(panels, conditions, strict=True):
        here = by_gradient[by_gradient["condition"] == condition]
        for row, method in enumerate(methods):
            of = {
                name: 100 * group.set_index("seed")["final_accuracy"].sort_index()
                for name, group in here[here["method_name"] == method].groupby("objective_name")
            }
            for place, other in enumerate(others):
                found = paired_difference(of[other], of[objective])
                offset = 0.25 * (place - (len(others) - 1) / 2)
                draw_interval(axes, row + offset, found, look[other].color, look[other].marker)
        rows_of(axes, methods)
        axes.set(
            title=display_name(condition),
            xlabel=f"A_T less that of {display_name(objective)}\nwith the same method, points",
        )
    handles = [Line2D([], [], color=look[name].color, marker=look[name].marker, linestyle="") for name in others]
    legend_outside(figure, handles, map(display_name, others), "outside upper center")
    add_caption(figure, f"Points: mean differences over {seeds_of(by_gradient)}. {STUDENT}")
    return figure


def pareto_front(cost: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the points that no other point beats in both, in the order of their cost.

    >>> pareto_front(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.4, 0.9])).tolist()
    [0, 2]
    """
    front: list[int] = []
    for place in np.lexsort((-gain, cost)):
        if not front or gain[place] > gain[front[-1]]:
            front.append(int(place))
    return np.array(front, dtype=np.int64)


def forgetting_by_task(runs: pd.DataFrame) -> Figure:
    """Forgetting of each task in points: a row for each contender, a column for each task.

    Args:
        runs: One row a run, with the folder that holds its accuracy matrix.
    """
    conditions = list(runs["condition"].unique())
    most = runs["contender"].nunique()
    figure = Figure(figsize=(max(6.4, 4.6 * len(conditions)), max(3.6, 1.2 + 0.2 * most)), layout="constrained")
    panels = list(np.atleast_1d(figure.subplots(1, len(conditions), sharey=True)))
    found = [_forgetting(runs[runs["condition"] == condition]) for condition in conditions]
    largest = max(float(np.abs(table.to_numpy()).max(initial=1e-6)) for table in found)
    for axes, condition, table in zip(panels, conditions, found, strict=True):
        shown = _heat(axes, table, largest)
        axes.set(title=display_name(condition), xlabel="task")
    figure.colorbar(shown, ax=panels, label="forgetting, points", shrink=0.9)
    add_caption(
        figure,
        f"Means over {seeds_of(runs)}.",
        "Forgetting of a task: its best accuracy before the last task less that at the end.",
    )
    return figure


def _heat(axes: Axes, table: pd.DataFrame, largest: float) -> AxesImage:
    shown = axes.imshow(table, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
    axes.set_yticks(range(len(table)), list(map(display_name, table.index)), fontsize=7)
    ticks = thinned(range(table.shape[1]))
    axes.set_xticks(ticks, [str(task + 1) for task in ticks])
    return shown


def _forgetting(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds of what `experiments.runs.metrics.forgetting` averages over tasks."""
    rows = {}
    for contender, group in runs.groupby("contender", sort=False):
        matrices = [RunFolder(Path(folder)).read_matrix() for folder in group["folder"]]
        falls = [np.nanmax(matrix[:-1, :-1], axis=0) - matrix[-1, :-1] for matrix in matrices]
        rows[contender] = 100 * np.mean(falls, axis=0)
    return pd.DataFrame.from_dict(rows, orient="index")

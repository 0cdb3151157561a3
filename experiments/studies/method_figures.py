"""Figures of methods: what accuracy costs, and which tasks are forgotten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from experiments.figures import legend_columns, styles
from experiments.results import RunFolder

MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
COSTS = {
    "trainable_parameters": ("trainable parameters", 1.0),
    "state_bytes": ("kept from task to task, kB", 1e-3),
    "seconds": ("seconds of a run", 1.0),
}


def accuracy_against_cost(runs: pd.DataFrame) -> Figure:
    """A_T against parameters, memory and time, a point for each contender, and the Pareto front.

    Args:
        runs: One row a run, with `method_name`, `objective_name`, `condition` and the costs.
    """
    conditions = list(runs["condition"].unique())
    methods = list(runs["method_name"].unique())
    look = styles(methods)
    markers = dict(zip(runs["objective_name"].unique(), MARKERS * len(runs), strict=False))
    figure = Figure(figsize=(12.5, 1.3 + 3.2 * len(conditions)), layout="constrained")
    grid = figure.subplots(len(conditions), len(COSTS), squeeze=False, sharey="row")
    for row, condition in zip(grid, conditions, strict=True):
        here = runs[runs["condition"] == condition]
        for axes, (cost, (title, factor)) in zip(row, COSTS.items(), strict=True):
            means = here.groupby(["method_name", "objective_name"], sort=False)[[cost, "final_accuracy"]].mean()
            x, y = factor * means[cost].to_numpy(dtype=float), 100 * means["final_accuracy"].to_numpy(dtype=float)
            for (method, objective), across, up in zip(means.index, x, y, strict=True):
                axes.plot(across, up, markers[objective], color=look[method][0], markersize=6, alpha=0.85)
            front = pareto_front(x, y)
            axes.step(x[front], y[front], where="post", color="k", linewidth=0.8, alpha=0.5)
            axes.set(xlabel=title, xscale="symlog" if cost != "seconds" else "log")
            axes.grid(alpha=0.25)
        row[0].set(ylabel="A_T, %", title=condition)
    handles = [Line2D([], [], color=look[method][0], marker="o", linestyle="") for method in methods]
    handles += [Line2D([], [], color="k", marker=marker, linestyle="") for marker in markers.values()]
    labels = [*methods, *markers]
    figure.legend(handles, labels, loc="outside lower center", ncols=legend_columns(labels) * 2, frameon=False)
    return figure


def pareto_front(cost: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.int64]:
    """The points that no other one beats in both: indices in the order of their cost.

    >>> pareto_front(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.4, 0.9])).tolist()
    [0, 2]
    """
    front: list[int] = []
    for place in np.lexsort((-gain, cost)):
        if not front or gain[place] > gain[front[-1]]:
            front.append(int(place))
    return np.array(front, dtype=np.int64)


def forgetting_by_task(runs: pd.DataFrame) -> Figure:
    """How far each task fell from its best to the end, in points: a row for each contender, a column for each task.

    Args:
        runs: One row a run, with the folder that holds its accuracy matrix.
    """
    conditions = list(runs["condition"].unique())
    most = runs["contender"].nunique()
    figure = Figure(figsize=(4.6 * len(conditions), 1.2 + 0.2 * most), layout="constrained")
    panels = list(np.atleast_1d(figure.subplots(1, len(conditions), sharey=True)))
    found = [_forgetting(runs[runs["condition"] == condition]) for condition in conditions]
    largest = max(float(np.abs(table.to_numpy()).max(initial=1e-6)) for table in found)
    for axes, condition, table in zip(panels, conditions, found, strict=True):
        shown = _heat(axes, table, largest)
        axes.set(title=condition, xlabel="task")
    figure.colorbar(shown, ax=panels, label="best accuracy less that at the end, points", shrink=0.7)
    return figure


def _heat(axes: Axes, table: pd.DataFrame, largest: float) -> AxesImage:
    shown = axes.imshow(table, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
    axes.set_yticks(range(len(table)), list(table.index), fontsize=7)
    step = -(-table.shape[1] // 10)
    axes.set_xticks(range(0, table.shape[1], step), [str(task + 1) for task in range(0, table.shape[1], step)])
    return shown


def _forgetting(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds of what `experiments.metrics.forgetting` averages over tasks."""
    rows = {}
    for contender, group in runs.groupby("contender", sort=False):
        matrices = [RunFolder(Path(folder)).read_matrix() for folder in group["folder"]]
        falls = [np.nanmax(matrix[:-1, :-1], axis=0) - matrix[-1, :-1] for matrix in matrices]
        rows[contender] = 100 * np.mean(falls, axis=0)
    return pd.DataFrame.from_dict(rows, orient="index")

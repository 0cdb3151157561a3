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
from experiments.reports.display_names import display_name
from experiments.reports.figures import UNCORRECTED, legend_columns, styles
from experiments.reports.statistics import paired_difference
from experiments.runs.run_folder import RunFolder

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
        row[0].set(ylabel="A_T, %", title=display_name(condition))
    handles = [Line2D([], [], color=look[method][0], marker="o", linestyle="") for method in methods]
    handles += [Line2D([], [], color="k", marker=marker, linestyle="") for marker in markers.values()]
    labels = [display_name(name) for name in (*methods, *markers)]
    figure.legend(handles, labels, loc="outside lower center", ncols=legend_columns(labels) * 2, frameon=False)
    return figure


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
    look = styles([objective, *others])
    figure = Figure(figsize=(max(6.4, 4.6 * len(conditions)), 1.6 + 0.4 * len(methods)), layout="constrained")
    panels = list(np.atleast_1d(figure.subplots(1, len(conditions), sharey=True)))
    for axes, condition in zip(panels, conditions, strict=True):
        here = by_gradient[by_gradient["condition"] == condition]
        for place, other in enumerate(others):
            found = []
            for method in methods:
                of = {
                    name: 100 * group.set_index("seed")["final_accuracy"].sort_index()
                    for name, group in here[here["method_name"] == method].groupby("objective_name")
                }
                found.append(paired_difference(of[other], of[objective]))
            means = np.array([interval.mean for interval in found])
            reach = np.array([[interval.mean - interval.low, interval.high - interval.mean] for interval in found]).T
            rows = np.arange(len(methods)) + 0.25 * (place - (len(others) - 1) / 2)
            axes.errorbar(
                means,
                rows,
                xerr=np.nan_to_num(reach),
                fmt="o",
                color=look[other][0],
                capsize=2,
                label=display_name(other),
            )
        axes.axvline(0, color="k", linewidth=0.8)
        axes.set(
            title=display_name(condition),
            xlabel=f"A_T less that of {display_name(objective)} with the same method,\npoints; {UNCORRECTED}",
        )
        axes.set_yticks(range(len(methods)), list(map(display_name, methods)))
        axes.grid(axis="x", alpha=0.25)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=max(1, len(labels)), frameon=False)
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
    figure = Figure(figsize=(4.6 * len(conditions), 1.2 + 0.2 * most), layout="constrained")
    panels = list(np.atleast_1d(figure.subplots(1, len(conditions), sharey=True)))
    found = [_forgetting(runs[runs["condition"] == condition]) for condition in conditions]
    largest = max(float(np.abs(table.to_numpy()).max(initial=1e-6)) for table in found)
    for axes, condition, table in zip(panels, conditions, found, strict=True):
        shown = _heat(axes, table, largest)
        axes.set(title=display_name(condition), xlabel="task")
    figure.colorbar(shown, ax=panels, label="best accuracy less that at the end, points", shrink=0.7)
    return figure


def _heat(axes: Axes, table: pd.DataFrame, largest: float) -> AxesImage:
    shown = axes.imshow(table, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
    axes.set_yticks(range(len(table)), list(map(display_name, table.index)), fontsize=7)
    step = -(-table.shape[1] // 10)
    axes.set_xticks(range(0, table.shape[1], step), [str(task + 1) for task in range(0, table.shape[1], step)])
    return shown


def _forgetting(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds of what `experiments.runs.metrics.forgetting` averages over tasks."""
    rows = {}
    for contender, group in runs.groupby("contender", sort=False):
        matrices = [RunFolder(Path(folder)).read_matrix() for folder in group["folder"]]
        falls = [np.nanmax(matrix[:-1, :-1], axis=0) - matrix[-1, :-1] for matrix in matrices]
        rows[contender] = 100 * np.mean(falls, axis=0)
    return pd.DataFrame.from_dict(rows, orient="index")

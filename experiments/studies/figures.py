"""Figures of studies: paired differences, and means in a grid."""

from __future__ import annotations

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.reports.axes import legend_outside
from experiments.reports.captions import PAIRED, add_caption, seeds_of
from experiments.reports.colors import looks
from experiments.reports.display_names import display_name
from experiments.reports.statistics import Interval, by_seed, paired_difference

SHAPES = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
"""Markers of conditions, and of objectives where colors are of methods."""
STUDENT = f"Lines: Student's 95 % confidence intervals. {PAIRED}"


def differences(runs: pd.DataFrame, baseline: str) -> Figure:
    """A_T of each contender less the baseline's, paired by seed: a mean and Student's 95 % interval.

    Colors are those of the contenders, shapes are conditions.

    Args:
        runs: One row a run, as `run_all` returns them.
        baseline: The contender that the others are compared to.
    """
    contenders = [contender for contender in runs["contender"].unique() if contender != baseline]
    conditions = list(runs["condition"].unique())
    height = 1.4 + 0.16 * max(3, len(contenders) * (len(conditions) + 1))
    figure = Figure(figsize=(7, height), layout="constrained")
    axes = figure.subplots()
    look = looks(runs["contender"])
    for place, condition in enumerate(conditions):
        here = runs[runs["condition"] == condition]
        reference = 100 * by_seed(here, baseline)["final_accuracy"]
        offset = (place - (len(conditions) - 1) / 2) * 0.7 / len(conditions)
        for row, contender in enumerate(contenders):
            found = paired_difference(100 * by_seed(here, contender)["final_accuracy"], reference)
            draw_interval(axes, row + offset, found, look[contender].color, SHAPES[place % len(SHAPES)])
    rows_of(axes, contenders)
    axes.set_xlabel(f"A_T less that of {display_name(baseline)}, points")
    shapes_legend(figure, conditions)
    add_caption(figure, f"Points: mean differences over {seeds_of(runs)}. {STUDENT}")
    return figure


def draw_interval(axes: Axes, row: float, found: Interval, color: str, shape: str) -> None:
    """Draw a mean as a point and its interval, if it has one, as a horizontal line."""
    reach = np.nan_to_num([[found.mean - found.low], [found.high - found.mean]])
    axes.errorbar([found.mean], [row], xerr=reach, fmt=shape, color=color, markersize=5, capsize=2)


def rows_of(axes: Axes, names: list[str]) -> None:
    """Name the rows of differences, the first at the top, with a line at 0."""
    axes.axvline(0, color="k", linewidth=0.8)
    axes.set_yticks(range(len(names)), list(map(display_name, names)))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.25)


def shapes_legend(figure: Figure, names: list[str]) -> None:
    """A legend of shapes above the figure."""
    handles = [
        Line2D([], [], color="#555555", marker=SHAPES[place % len(SHAPES)], linestyle="") for place in range(len(names))
    ]
    legend_outside(figure, handles, map(display_name, names), "outside upper center")


def heat_map(runs: pd.DataFrame, measure: str = "final_accuracy", title: str = "A_T, %") -> Figure:
    """The mean of a share over seeds, in %: a row for each contender, a column for each condition."""
    table = 100 * runs.pivot_table(measure, "contender", "condition", sort=False)
    figure = Figure(figsize=(2.2 + 1.3 * table.shape[1], 1 + 0.36 * len(table)), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(table, cmap="viridis", aspect="auto")
    middle = (np.nanmin(table) + np.nanmax(table)) / 2
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        color = "white" if value <= middle else "black"
        axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=color)
    axes.set_xticks(range(table.shape[1]), [fill(display_name(condition), 16) for condition in table.columns])
    axes.set_yticks(range(len(table)), [display_name(contender) for contender in table.index])
    figure.colorbar(shown, ax=axes, label=title)
    add_caption(figure, f"Means over {seeds_of(runs)}.")
    return figure


def minus_baseline(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Subtract the baseline's A_T of the same condition and seed. The baseline stays, at 0, and keeps its color."""
    case = ["condition", "seed"]
    reference = runs[runs["contender"] == baseline].set_index(case)["final_accuracy"]
    less = reference.reindex(pd.MultiIndex.from_frame(runs[case])).to_numpy()
    return runs.assign(final_accuracy=runs["final_accuracy"] - less)

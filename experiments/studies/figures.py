"""Figures of studies: paired differences, means in a grid, and a measure against a setting."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.reports.display_names import display_name
from experiments.reports.figures import INTERVALS, UNCORRECTED, legend_columns, styles
from experiments.reports.statistics import by_seed, mean_interval, paired_difference


def differences(runs: pd.DataFrame, baseline: str) -> Figure:
    """A_T of each contender less the baseline's, paired by seed: the mean as a dot, Student's 95 % interval as a line.

    Args:
        runs: One row a run, as `run_all` returns them.
        baseline: The contender that the others are compared to.
    """
    contenders = [contender for contender in runs["contender"].unique() if contender != baseline]
    conditions = list(runs["condition"].unique())
    figure = Figure(figsize=(7, 1.4 + 0.16 * len(contenders) * (len(conditions) + 1)), layout="constrained")
    axes = figure.subplots()
    for place, (condition, (colour, _)) in enumerate(styles(conditions).items()):
        here = runs[runs["condition"] == condition]
        reference = by_seed(here, baseline)["final_accuracy"]
        found = [
            paired_difference(100 * by_seed(here, contender)["final_accuracy"], 100 * reference)
            for contender in contenders
        ]
        means = np.array([interval.mean for interval in found])
        reach = np.array([[interval.mean - interval.low, interval.high - interval.mean] for interval in found]).T
        offset = (place - (len(conditions) - 1) / 2) * 0.7 / len(conditions)
        rows = np.arange(len(contenders)) + offset
        axes.errorbar(
            means, rows, xerr=np.nan_to_num(reach), fmt="o", color=colour, capsize=2, label=display_name(condition)
        )
    axes.axvline(0, color="k", linewidth=0.8)
    axes.set_yticks(range(len(contenders)), [display_name(contender) for contender in contenders])
    axes.set_xlabel(f"A_T less that of {display_name(baseline)}, points; paired by seed, {UNCORRECTED}")
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.25)
    figure.legend(loc="outside upper center", ncols=legend_columns(map(display_name, conditions)), frameon=False)
    return figure


def heat_map(runs: pd.DataFrame, measure: str = "final_accuracy", title: str = "A_T, %") -> Figure:
    """The mean of a share over seeds, in %: a row for each contender, a column for each condition."""
    table = 100 * runs.pivot_table(measure, "contender", "condition", sort=False)
    figure = Figure(figsize=(2.2 + 1.3 * table.shape[1], 1 + 0.36 * len(table)), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(table, cmap="viridis", aspect="auto")
    middle = (np.nanmin(table) + np.nanmax(table)) / 2
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        colour = "white" if value <= middle else "black"
        axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(table.shape[1]), [fill(display_name(condition), 16) for condition in table.columns])
    axes.set_yticks(range(len(table)), [display_name(contender) for contender in table.index])
    figure.colorbar(shown, ax=axes, label=title)
    return figure


def minus_baseline(runs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Subtract the baseline's A_T of the same condition and seed. The baseline stays, at 0, and keeps its color."""
    case = ["condition", "seed"]
    reference = runs[runs["contender"] == baseline].set_index(case)["final_accuracy"]
    less = reference.reindex(pd.MultiIndex.from_frame(runs[case])).to_numpy()
    return runs.assign(final_accuracy=runs["final_accuracy"] - less)


def plot_data(
    runs: pd.DataFrame, x: pd.Series[float], panel: pd.Series[str], measure: str = "final_accuracy"
) -> pd.DataFrame:
    """The data that `plot_lines` draws: a row for each run that has the measure, its value in %."""
    drawn = {"x": x, "panel": panel, "contender": runs["contender"], "value": 100 * runs[measure].astype(float)}
    return pd.DataFrame(drawn).dropna(subset="value")


def plot_lines(
    drawn: pd.DataFrame,
    labels: tuple[str, str],
    reference_lines: pd.DataFrame | None = None,
    logarithmic: bool = False,
    starred: bool = False,
    one_scale: bool = True,
) -> Figure:
    """Means over seeds against a setting: a line for each contender, with their 95 % intervals as bands.

    Args:
        drawn: A row a run: x, panel, contender, value.
        labels: Of the two axes.
        reference_lines: A row a run of contenders without an x, in the same columns: drawn as horizontal lines.
        logarithmic: Whether the setting's axis is.
        starred: Mark the highest mean of each line with a star, in place of the bands.
        one_scale: Whether the vertical axes of all panels are the same.
    """
    panels = list(drawn["panel"].unique()) or [""]
    references = drawn.iloc[:0] if reference_lines is None else reference_lines
    look = styles([*drawn["contender"], *references["contender"]])
    columns = 2 if len(panels) == 4 else min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(max(6.4, 4.2 * columns), 1 + 3.1 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=one_scale).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        here = drawn[drawn["panel"] == panel]
        _draw_references(axes, references[references["panel"] == panel], look)
        for contender in here["contender"].unique():
            _line(axes, here[here["contender"] == contender], look[contender], display_name(contender), starred)
        ticks = np.unique(here["x"])
        axes.set(title=display_name(panel), xlabel=labels[0], xscale="log" if logarithmic else "linear")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8, rotation=45 if logarithmic else 0)
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.25)
    for empty in grid[len(panels) :]:
        empty.axis("off")
    for axes in grid[::columns]:
        axes.set_ylabel(labels[1])
    named = {label: line for axes in grid for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    columns, title = legend_columns(named), None if starred else INTERVALS
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns, frameon=False, title=title)
    return figure


def _line(axes: Axes, group: pd.DataFrame, look: tuple[str, str], label: str, starred: bool) -> None:
    """One contender: its means, with the band of their intervals or a star at the best."""
    colour, style = look
    by_x = [(x, mean_interval(values)) for x, values in group.groupby("x")["value"]]
    x = np.array([place for place, _ in by_x], dtype=float)
    mean, low, high = np.array([interval for _, interval in by_x]).T
    axes.plot(x, mean, color=colour, linestyle=style, marker="o", markersize=4, label=label)
    if starred:
        axes.plot(x[mean.argmax()], mean.max(), "*", color=colour, markersize=13)
    else:
        axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)


def _draw_references(axes: Axes, references: pd.DataFrame, look: Mapping[str, tuple[str, str]]) -> None:
    """Draw each contender as a dashed horizontal line, with its interval as a band."""
    for contender in references["contender"].unique():
        values = references.loc[references["contender"] == contender, "value"]
        colour, _ = look[contender]
        mean, low, high = mean_interval(values)
        axes.axhline(mean, color=colour, linestyle="--", linewidth=1.2, label=display_name(contender))
        if np.isfinite(low):
            axes.axhspan(low, high, color=colour, alpha=0.1, linewidth=0)

"""Figures of a measure against a setting: a line for each contender."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from experiments.reports.axes import legend_outside, thinned
from experiments.reports.captions import add_caption, means_of, seed_count
from experiments.reports.colors import BACKGROUND, Look, looks
from experiments.reports.display_names import display_name
from experiments.reports.statistics import mean_interval

STARS = "Stars: the highest mean of each line."


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
    others_in_gray: bool = False,
    note: str = "",
) -> Figure:
    """Means over seeds against a setting: a line for each contender, with their 95 % intervals as bands.

    Args:
        drawn: A row a run: x, panel, contender, value.
        labels: Of the two axes.
        reference_lines: A row a run of contenders without an x, in the same columns: drawn as horizontal lines.
        logarithmic: Whether the setting's axis is.
        starred: Mark the highest mean of each line with a star, in place of the bands.
        one_scale: Whether the vertical axes of all panels are the same.
        others_in_gray: Show the lines of the other panels in light gray, for comparison.
        note: Further sentence of the caption.
    """
    panels = list(drawn["panel"].unique()) or [""]
    references = drawn.iloc[:0] if reference_lines is None else reference_lines
    look = looks([*drawn["contender"], *references["contender"]])
    figure, grid = _grid(len(panels), one_scale)
    for axes, panel in zip(grid, panels, strict=False):
        here = drawn[drawn["panel"] == panel]
        if others_in_gray:
            _draw_background(axes, drawn[drawn["panel"] != panel])
        _draw_references(axes, references[references["panel"] == panel], look)
        for contender in here["contender"].unique():
            _line(axes, here[here["contender"] == contender], look[contender], display_name(contender), starred)
        ticks = thinned(np.unique(here["x"]).tolist())
        axes.set(title=display_name(panel), xlabel=labels[0], xscale="log" if logarithmic else "linear")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8)
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.25)
    for axes in grid[:: _columns(len(panels))]:
        axes.set_ylabel(labels[1])
    named = {label: line for axes in grid for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    legend_outside(figure, named.values(), named.keys())
    seeds = seed_count(drawn.groupby(["panel", "contender", "x"]).size())
    gray = "Gray: the means of the other panels." if others_in_gray else ""
    add_caption(figure, *([f"Means over {seeds}.", STARS] if starred else [means_of(seeds)]), gray, note)
    return figure


def _columns(panels: int) -> int:
    """Panels in a row."""
    return 2 if panels == 4 else 3 if panels <= 9 else 5


def _grid(panels: int, one_scale: bool) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, in rows."""
    columns = min(_columns(panels), panels)
    rows = -(-panels // columns)
    width, height = (2.7, 2.4) if columns > 3 else (4.2, 3.1)
    figure = Figure(figsize=(max(6.4, width * columns), 1 + height * rows), layout=ConstrainedLayoutEngine(h_pad=0.08))
    grid = list(figure.subplots(rows, columns, squeeze=False, sharey=one_scale).ravel())
    for empty in grid[panels:]:
        empty.axis("off")
    return figure, grid[:panels]


def _line(axes: Axes, group: pd.DataFrame, look: Look, label: str, starred: bool) -> None:
    """One contender: its means, with the band of their intervals or a star at the best."""
    by_x = [(x, mean_interval(values)) for x, values in group.groupby("x")["value"]]
    x = np.array([place for place, _ in by_x], dtype=float)
    mean, low, high = np.array([interval for _, interval in by_x]).T
    axes.plot(x, mean, color=look.color, linestyle=look.line, marker=look.marker, markersize=4, label=label)
    if starred:
        axes.plot(x[mean.argmax()], mean.max(), "*", color=look.color, markersize=13)
    elif len(x) == 1:
        axes.vlines(x, low, high, color=look.color, linewidth=1)
    else:
        axes.fill_between(x, low, high, color=look.color, alpha=0.13, linewidth=0)


def _draw_background(axes: Axes, others: pd.DataFrame) -> None:
    for _, group in others.groupby(["panel", "contender"]):
        means = group.groupby("x")["value"].mean()
        axes.plot(means.index, means, color=BACKGROUND, linewidth=0.8, zorder=0)


def _draw_references(axes: Axes, references: pd.DataFrame, look: Mapping[str, Look]) -> None:
    """Draw each contender as a horizontal line without markers, with its interval as a band."""
    for contender in references["contender"].unique():
        values = references.loc[references["contender"] == contender, "value"]
        color, line, _ = look[contender]
        mean, low, high = mean_interval(values)
        axes.axhline(mean, color=color, linestyle=line, linewidth=1.2, label=display_name(contender))
        if np.isfinite(low):
            axes.axhspan(low, high, color=color, alpha=0.1, linewidth=0)

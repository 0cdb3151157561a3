"""Ticks and legends that do not overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import floor, log10
from typing import Any, Literal, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

Side: TypeAlias = Literal["outside lower center", "outside upper center"]
MOST_TICKS, MOST_OF_COSTS = 8, 5
"""The most ticks of an axis of settings, and of one of costs."""


def thinned(places: Sequence[Any]) -> list[Any]:
    """Every place, or every second, third ... one, so that at most `MOST_TICKS` are left; the first is.

    >>> thinned(range(1, 6)), thinned(range(1, 21))
    ([1, 2, 3, 4, 5], [1, 4, 7, 10, 13, 16, 19])
    """
    return list(places[:: -(-len(places) // MOST_TICKS) or 1])


def legend_columns(labels: Iterable[str], inches: float) -> int:
    """As many columns of a legend as fit a width."""
    return max(1, int(12.5 * inches) // (8 + max(map(len, labels), default=0)))


def legend_outside(
    figure: Figure, handles: Iterable[Any], labels: Iterable[str], side: Side = "outside lower center"
) -> None:
    """A legend of the figure beside its panels, in as many columns as fit the figure's width.

    Args:
        figure: The figure, with the layout `constrained`.
        handles: What is explained, as matplotlib's `legend` takes them.
        labels: A label for each.
        side: Where it is.
    """
    words = list(labels)
    columns = legend_columns(words, figure.get_figwidth())
    figure.legend(list(handles), words, loc=side, ncols=columns, frameon=False)


def freeze_layout(figure: Figure) -> None:
    """Lay a figure out once, and keep panels and legends where they are.

    Without it, matplotlib moves a legend outside the panels to the edge of a file that is cut to its content.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for legend in figure.legends:
        box = legend.get_window_extent().transformed(figure.transFigure.inverted())
        legend.set_loc("center")
        legend.set_bbox_to_anchor(((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2), transform=figure.transFigure)


def cost_axis(axes: Axes, costs: Sequence[float]) -> None:
    """Make the horizontal axis logarithmic, with plain numbers as ticks. It begins at 0 if a cost is 0.

    Args:
        axes: The panel.
        costs: What is drawn on it; at least 0.
    """
    positive = [cost for cost in costs if cost > 0] or [1.0]
    low, high = min(positive), max(positive)
    choices = (list(_round_numbers(low, high, digits)) for digits in ((1, 2, 5), (1, 3), (1,)))
    ticks = next((found for found in choices if len(found) <= MOST_OF_COSTS), [])
    if min(costs, default=1) > 0:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=10.0 ** floor(log10(low)), linscale=0.4)
        ticks = [0.0, *ticks]
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))


def _round_numbers(low: float, high: float, digits: Sequence[int]) -> Iterator[float]:
    """Numbers that begin with one of the digits, from a little below `low` to a little above `high`."""
    for power in range(floor(log10(low)), floor(log10(high)) + 2):
        for digit in digits:
            if 0.6 * low <= digit * 10.0**power <= 1.25 * high:
                yield digit * 10.0**power


def short_number(value: float) -> str:
    """A number with the suffix k or M.

    >>> short_number(500), short_number(2000), short_number(1.5e6)
    ('500', '2k', '1.5M')
    """
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"

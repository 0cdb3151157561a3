"""Ticks and legends that do not overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, log10
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, SymmetricalLogLocator

MOST_TICKS = 8


def thinned(places: Sequence[Any]) -> list[Any]:
    """Every place, or every second, third ... one, so that at most `MOST_TICKS` are left; the first is.

    >>> thinned(range(1, 6)), thinned(range(1, 21))
    ([1, 2, 3, 4, 5], [1, 4, 7, 10, 13, 16, 19])
    """
    return list(places[:: -(-len(places) // MOST_TICKS) or 1])


def legend_columns(labels: Iterable[str], letters: int = 80) -> int:
    """As many columns as fit a width in letters; the width of a figure by default."""
    return max(1, letters // (8 + max(map(len, labels), default=0)))


def cost_axis(axes: Axes, costs: Sequence[float]) -> None:
    """Make the horizontal axis logarithmic, with plain numbers as ticks. It begins at 0 if a cost is 0.

    Args:
        axes: The panel.
        costs: What is drawn on it; at least 0.
    """
    positive = [cost for cost in costs if cost > 0] or [1.0]
    decades = log10(max(positive) / min(positive))
    digits = (1.0, 2.0, 5.0) if decades < 1.5 else (1.0, 3.0) if decades < 2.5 else (1.0,)
    if min(costs, default=1) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=digits))
    else:
        threshold = 10.0 ** floor(log10(min(positive)))
        axes.set_xscale("symlog", linthresh=threshold, linscale=0.4)
        axes.xaxis.set_major_locator(SymmetricalLogLocator(linthresh=threshold, base=10, subs=digits))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))


def short_number(value: float) -> str:
    """A number with the suffix k or M.

    >>> short_number(500), short_number(2000), short_number(1.5e6)
    ('500', '2k', '1.5M')
    """
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"

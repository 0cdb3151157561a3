"""Timing two sides of a ratio in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

Side = Callable[[], int]


@dataclass(frozen=True)
class Measurement:
    """One line of a benchmark's table.

    Attributes:
        row: Name of the ratio.
        ratio: Median of ours / theirs over the repeats; None where there is one side only.
        value: Median of our side.
        against: Median of the other side, or None.
        unit: Of both.
        repeats: How often each side was timed, after one warm-up.
        spread: Smallest and largest ratio (of `value`, where there is one side only).
    """

    row: str
    ratio: float | None
    value: float
    against: float | None
    unit: str
    repeats: int
    spread: tuple[float, float]

    def as_json(self) -> dict[str, Any]:
        """The fields, as JSON knows them."""
        return asdict(self)


def rate(side: Side) -> float:
    """Items a second: `side` does its work and returns how many items it had."""
    started = time.perf_counter()
    items = side()
    return items / (time.perf_counter() - started)


def compare_rates(row: str, ours: Side, theirs: Side, unit: str, repeats: int) -> Measurement:
    """Time both sides in turn, after a warm-up of each. The sides of a pair take turns at being first."""
    ours(), theirs()
    pairs = [_timed_pair(ours, theirs, ours_first=repeat % 2 == 0) for repeat in range(repeats)]
    ratios = [mine / other for mine, other in pairs]
    return Measurement(
        row,
        statistics.median(ratios),
        statistics.median(mine for mine, _ in pairs),
        statistics.median(other for _, other in pairs),
        unit,
        repeats,
        (min(ratios), max(ratios)),
    )


def _timed_pair(ours: Side, theirs: Side, ours_first: bool) -> tuple[float, float]:
    """The rates of both sides."""
    if ours_first:
        mine = rate(ours)
        return mine, rate(theirs)
    other = rate(theirs)
    return rate(ours), other


def measure_rate(row: str, side: Side, unit: str, repeats: int) -> Measurement:
    """Time one side alone, after a warm-up."""
    side()
    rates = [rate(side) for _ in range(repeats)]
    return Measurement(row, None, statistics.median(rates), None, unit, repeats, (min(rates), max(rates)))

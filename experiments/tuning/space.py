"""What a search varies: the learning rate, and the arguments of an objective that are given as ranges."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from cls_env.specification import parse_specification

RATE = "learning_rate"
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")
_DIGITS = 3
"""Digits of the values that are tried."""


class Point(NamedTuple):
    """Settings that are tried: a specification of the objective, and a learning rate."""

    objective: str
    learning_rate: float


@dataclass(frozen=True)
class Range:
    """The values that a setting may have.

    Attributes:
        name: Of the setting.
        low: The lowest value.
        high: The highest value.
        whole: Whether the values are whole numbers.
        logarithmic: Whether values are spaced by ratios.
    """

    name: str
    low: float
    high: float
    whole: bool = False
    logarithmic: bool = False

    def points(self, count: int) -> list[float]:
        """So many values, evenly spaced from the lowest to the highest; a single one is in the middle."""
        space = np.geomspace if self.logarithmic else np.linspace
        values = space(self.low, self.high, count) if count > 1 else space(self.low, self.high, 3)[1:2]
        return list(dict.fromkeys(self.rounded(float(value)) for value in values))

    def rounded(self, value: float) -> float:
        """The value with three digits, within the range."""
        if self.whole:
            return round(value)
        return min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)


@dataclass(frozen=True)
class Space:
    """The settings of an objective among which a search chooses.

    Attributes:
        contender: The objective as the user has given it, which names it in tables.
        objective: Its name.
        fixed: Its arguments that are the same in all trials.
        ranges: What varies: the learning rate first.
    """

    contender: str
    objective: str
    fixed: Mapping[str, Any]
    ranges: tuple[Range, ...]

    def point(self, values: Mapping[str, float]) -> Point:
        """The settings with some values of the ranges, by name."""
        values = {each.name: each.rounded(values[each.name]) for each in self.ranges}
        rate = values.pop(RATE)
        arguments = ",".join(f"{name}={_written(value)}" for name, value in {**self.fixed, **values}.items())
        return Point(f"{self.objective}:{arguments}" if arguments else self.objective, rate)

    def grid(self, count: int) -> list[Point]:
        """All combinations of evenly spaced values, the same number for each range.

        Raises:
            ValueError: So many settings are not the combinations of any such number.
        """
        each = round(count ** (1 / len(self.ranges)))
        values = [range_.points(each) for range_ in self.ranges]
        names = [range_.name for range_ in self.ranges]
        points = [self.point(dict(zip(names, combination, strict=True))) for combination in product(*values)]
        if each ** len(self.ranges) == count and len(points) < count:
            raise ValueError(f"the ranges of {', '.join(names)} have fewer than {count} different values: widen them")
        if len(points) != count:
            fit = " or ".join(str(number ** len(self.ranges)) for number in (each, each + 1))
            raise ValueError(
                f"a grid of {len(self.ranges)} settings ({', '.join(names)}) does not have {count} trials: give "
                f"--trials {fit}, or --search random or tpe"
            )
        return points


def space_of(objective: str, rates: tuple[float, float]) -> Space:
    """The settings of an objective among which a search chooses.

    Args:
        objective: Its specification, in which `low..high` stands for a range; with two whole numbers, of whole numbers.
        rates: The lowest and the highest learning rate.

    Raises:
        ValueError: It is no specification, or a range does not go from a lower to a higher value.

    >>> space = space_of("gce:q=0.3..0.9", (1e-3, 1e-1))
    >>> [tuple(point) for point in space.grid(4)][1:3]
    [('gce:q=0.9', 0.001), ('gce:q=0.3', 0.1)]
    """
    name, arguments = parse_specification(objective)
    ranges = [Range(RATE, *rates, logarithmic=True)]
    fixed = {}
    for argument, value in arguments.items():
        if isinstance(value, str) and (match := _RANGE.fullmatch(value)):
            low, high = match.groups()
            if not float(low) < float(high) < float("inf"):
                raise ValueError(f"{objective}: {argument} must go from a lower to a higher value, not {value}")
            whole = bool(re.fullmatch(r"[+-]?\d+", low) and re.fullmatch(r"[+-]?\d+", high))
            ranges.append(Range(argument, float(low), float(high), whole))
        else:
            fixed[argument] = value
    return Space(objective, name, fixed, tuple(ranges))


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

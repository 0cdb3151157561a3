"""Checks of numbers that several arguments share."""

from __future__ import annotations

from typing import Any

from cls_env.arguments import as_plain, number


def share(name: str, value: Any, of: str) -> float:
    """A number in [0, 1].

    Raises:
        ValueError: It is something else.
    """
    given = number(name, value)
    if not 0 <= given <= 1:
        raise ValueError(f"{name} is a share of {of} in [0, 1], not {value}")
    return given


def pair_of_numbers(name: str, value: Any) -> tuple[float, float]:
    """Two numbers.

    Raises:
        ValueError: They are something else.
    """
    plain = as_plain(value)
    if not isinstance(plain, (list, tuple)) or len(plain) != 2:
        raise ValueError(f"{name} holds two numbers, not {value!r}")
    return number(name, plain[0]), number(name, plain[1])


def range_of_areas(name: str, value: Any) -> tuple[float, float]:
    """The smallest and the largest share of an image's area.

    Raises:
        ValueError: They are something else.
    """
    smallest, largest = pair_of_numbers(name, value)
    if not 0 < smallest <= largest <= 1:
        raise ValueError(f"{name} holds two shares of the area, 0 < smallest <= largest <= 1, not {value}")
    return smallest, largest

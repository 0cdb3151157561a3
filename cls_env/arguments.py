"""Checks of arguments: NumPy values become Python's, and a wrong type or range is one line that names the argument."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from math import inf
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cls_env.specification import lookup, quoted

LARGEST_REWARD = float(np.finfo(np.float32).max)
"""Rewards are float32."""


def as_plain(value: Any) -> Any:
    """A value with Python's numbers in place of NumPy's, also within lists, tuples and mappings.

    NumPy scalars, arrays without a dimension and PyTorch's become numbers, other NumPy arrays become lists. JSON can
    hold the result wherever it could hold the value with Python's numbers. Anything else is returned as it is.

    >>> as_plain({"rate": np.float32(0.5), "sizes": (np.int64(3), np.arange(2))})
    {'rate': 0.5, 'sizes': (3, [0, 1])}
    """
    if isinstance(value, np.ndarray) and value.ndim:
        return value.tolist()
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    if type(value) in (list, tuple):
        return type(value)(map(as_plain, value))
    if isinstance(value, Mapping):
        return {key: as_plain(item) for key, item in value.items()}
    return value


def whole_number(name: str, value: Any, least: float = -inf) -> int:
    """An argument that must be a whole number.

    Args:
        name: Of the argument, for the message.
        value: As it was given; NumPy's integers are taken, truth values and floats are not.
        least: The smallest number allowed.

    Raises:
        ValueError: It is something else, or too small.

    >>> whole_number("batch_size", np.int64(32), least=1)
    32
    >>> whole_number("batch_size", "32", least=1)
    Traceback (most recent call last):
    ValueError: batch_size must be a whole number of at least 1, not '32'
    """
    number = as_plain(value)
    if not isinstance(number, Integral) or isinstance(number, bool) or number < least:
        limit = f" of at least {least:g}" if least > -inf else ""
        raise ValueError(f"{name} must be a whole number{limit}, not {quoted(value)}")
    return int(number)


def number(name: str, value: Any, interval: str = "") -> float:
    """An argument that must be a number.

    Args:
        name: Of the argument, for the message.
        value: As it was given; NumPy's numbers are taken, truth values are not.
        interval: The numbers allowed, in the notation of mathematics, such as "[0, 1]" or "(0, inf)"; by default all.

    Raises:
        ValueError: It is something else, or outside the interval.

    >>> number("momentum", np.float32(0.5), "[0, 1)")
    0.5
    >>> number("momentum", 1, "[0, 1)")
    Traceback (most recent call last):
    ValueError: momentum must be in [0, 1), not 1
    """
    given = as_plain(value)
    if not isinstance(given, Real) or isinstance(given, bool):
        raise ValueError(f"{name} must be a number, not {quoted(value)}")
    try:
        converted = float(given)
    except OverflowError as error:
        raise ValueError(f"{name} must be a number that a float can hold, not {quoted(value)}") from error
    if interval and not _is_within(converted, interval):
        raise ValueError(f"{name} must be in {interval}, not {quoted(value)}")
    return converted


def _is_within(value: float, interval: str) -> bool:
    low, high = map(float, interval[1:-1].split(","))
    above = low <= value if interval.startswith("[") else low < value
    below = value <= high if interval.endswith("]") else value < high
    return above and below


def pair_of_numbers(name: str, value: Any) -> tuple[float, float]:
    """An argument that must be two numbers.

    Raises:
        ValueError: It is something else.
    """
    plain = as_plain(value)
    if not isinstance(plain, (list, tuple)) or len(plain) != 2:
        raise ValueError(f"{name} holds two numbers, not {quoted(value)}")
    return number(name, plain[0]), number(name, plain[1])


def range_of_areas(name: str, value: Any) -> tuple[float, float]:
    """An argument that must be the smallest and the largest area of a crop, as fractions of the image's area.

    Raises:
        ValueError: It is something else.
    """
    smallest, largest = pair_of_numbers(name, value)
    if not 0 < smallest <= largest <= 1:
        raise ValueError(f"{name} holds two shares of the area, 0 < smallest <= largest <= 1, not {quoted(value)}")
    return smallest, largest


def truth_value(name: str, value: Any) -> bool:
    """An argument that must be True or False.

    Args:
        name: Of the argument, for the message.
        value: As it was given; NumPy's truth values are taken, 0 and 1 are not.

    Raises:
        ValueError: It is something else.
    """
    given = as_plain(value)
    if not isinstance(given, bool):
        raise ValueError(f"{name} must be True or False, not {quoted(value)}")
    return given


def word(name: str, value: Any) -> str:
    """An argument that must be text.

    Args:
        name: Of the argument, for the message.
        value: As it was given.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, not {quoted(value)}")
    return str(value)


def one_of(name: str, value: Any, choices: Collection[str]) -> str:
    """An argument that must be one of several words.

    Raises:
        ValueError: It is something else; the message gives the nearest choice.

    >>> one_of("metric", "cosin", ("cosine", "euclidean"))
    Traceback (most recent call last):
    ValueError: unknown metric 'cosin'; did you mean 'cosine'? Known: cosine, euclidean
    """
    return lookup(name, word(name, value), {choice: choice for choice in choices})


def real_array(name: str, value: Any) -> NDArray[np.float64]:
    """An argument that must be a real number, or an array of such.

    Args:
        name: Of the argument, for the message.
        value: As it was given; nested lists, NumPy arrays and numbers are taken, text and complex numbers are not.

    Returns:
        float64, of the shape of the value.

    Raises:
        ValueError: It is something else, or its rows are of different lengths.

    >>> real_array("costs", [1, 2.5])
    array([1. , 2.5])
    """
    try:
        given = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a regular array of numbers: {error}") from error
    if given.dtype.kind not in "biuf" or np.ma.isMaskedArray(value):
        raise ValueError(f"{name} must hold real numbers, not {quoted(value)}")
    return given.astype(np.float64)


def regular_list(name: str, value: Any) -> NDArray[Any]:
    """An argument that must be a value, or a list of values that are no lists of different lengths.

    Args:
        name: Of the argument, for the message.
        value: As it was given.

    Returns:
        An array of any type, of the shape of the value.

    Raises:
        ValueError: It holds lists of different lengths.
    """
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a value or a list of values, not {quoted(value)}") from error


def finite_reward(name: str, value: Any) -> float:
    """An argument that must be a reward: a number that float32 can hold.

    Raises:
        ValueError: It is something else.
    """
    reward = number(name, value)
    if not abs(reward) <= LARGEST_REWARD:
        raise ValueError(f"{name} must be a finite number of at most {LARGEST_REWARD:.3g} in size, not {quoted(value)}")
    return reward


def name_list(name: str, value: Any) -> tuple[str, ...]:
    """An argument that must be a list of names, in order.

    Args:
        name: Of the argument, for the message.
        value: A list, tuple or NumPy array of text or whole numbers. A set is refused, since its order changes from one
            process to the next.

    Raises:
        ValueError: It is something else.

    >>> name_list("domains", np.array(["photo", "sketch"]))
    ('photo', 'sketch')
    """
    given = as_plain(value)
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise ValueError(f"{name} must be a list of names, not {quoted(value)}")
    for entry in given:
        if isinstance(entry, bool) or not isinstance(entry, str | int):
            raise ValueError(f"{name} must hold names, as text, not {quoted(entry)}")
    return tuple(map(str, given))


def check_savable(description: Mapping[str, Any]) -> None:
    """Check that JSON can hold a description.

    Raises:
        ValueError: It can't hold an entry; the message names it.
    """
    for name, value in description.items():
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            check_savable({f"{name}.{key}": entry for key, entry in value.items()})
            continue
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{name} can't be saved: a value of type {type(value).__name__} is not JSON serializable: "
                f"{quoted(value)}"
            ) from error

"""Values and words of all kinds, most of which are wrong wherever they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as some

SMALL = some.integers(-2, 12)
"""Numbers that cost nothing. Those between these and `HUGE` could take all memory where they are valid."""
HUGE = (2**62, 2**63 - 1, 2**63, 10**30, 10**400, -(10**400))
DEEP = "[" * 20_000
"""JSON that is nested deeper than Python's recursion goes."""
LONG = "9" * 5_000
"""A number with more digits than Python reads."""
WORDS = (
    *("", " ", "-1", "0", "1", "2.5", "1e400", "-1e400", "nan", "inf", "true", "null", "None", "[1,2]", "[", '{"a":1}'),
    *(":", "=", ",", "a:b", "a=b", "a:b=c", "a:b=1,b=2", "lora:", "lora:r", "é", "\0", "../..", "~nobody/x", "none"),
    *("9" * 40, LONG, DEEP, "x" * 5_000),
)
"""Words of a command line, or of a specification."""
_ARRAYS = (
    np.float32("nan"),
    np.float64("inf"),
    np.int64(-1),
    np.uint64(2**64 - 1),
    np.bool_(True),
    np.array(3),
    np.array([1.5, 2.5]),
    np.zeros((0, 3)),
    np.eye(3),
    np.array(["a", "b"]),
    np.array([None, 1], dtype=object),
    np.datetime64("NaT"),
    np.ma.masked,
)
_OBJECTS: tuple[Any, ...] = (
    None,
    True,
    False,
    ...,
    1j,
    b"bytes",
    {1, 2},
    frozenset(),
    range(3),
    object,
    len,
    NotImplemented,
)


def texts() -> some.SearchStrategy[str]:
    """Words, lines and letters of any script."""
    return some.sampled_from((*WORDS, "\n", "two\nlines", "\ud800")) | some.text(max_size=6)


def numbers() -> some.SearchStrategy[Any]:
    """Small and huge numbers, infinity and NaN."""
    return some.one_of(SMALL, some.sampled_from(HUGE), some.floats(), some.fractions(max_denominator=9))


def anything() -> some.SearchStrategy[Any]:
    """Values of any type."""
    single = some.one_of(numbers(), texts(), some.sampled_from(_ARRAYS), some.sampled_from(_OBJECTS))
    small = some.one_of(SMALL, some.floats(), some.text(max_size=2), some.none())
    several = some.lists(small, max_size=3) | some.lists(small, max_size=3).map(tuple)
    return some.one_of(single, several, some.dictionaries(some.text(max_size=2), small, max_size=2))

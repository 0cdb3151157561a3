"""Types of a configuration's fields: NumPy values become Python's, and a wrong type is refused by its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from cls_env.arguments import as_plain, number, truth_value, whole_number, word


def settle(config: Any) -> None:
    """Give each field of a frozen dataclass a value of its annotated type, in place.

    Raises:
        ValueError: A value is of another type; the message names the field.
    """
    for name, hint in _hints(type(config)).items():  # type: ignore[arg-type]  # a class can be hashed
        object.__setattr__(config, name, fitted(name, as_plain(getattr(config, name)), hint))


def fitted(name: str, value: Any, hint: Any) -> Any:
    """Convert a value to the annotated type.

    Args:
        name: Name of the field, for the message.
        value: The given value; any iterable is taken for a tuple, and a path for text.
        hint: bool, int, float, str, Path, a Literal of words, a tuple of these, None, or a union of some.

    Raises:
        ValueError: The value is of another type.

    >>> fitted("blocks", range(2), tuple[int, ...]), fitted("num_tasks", 3, int | tuple[int, ...] | None)
    ((0, 1), 3)
    >>> fitted("objectives", "ce", tuple[str, ...])
    Traceback (most recent call last):
    ValueError: objectives must be a list, not 'ce'
    """
    arms = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    words = [each for arm in arms if get_origin(arm) is Literal for each in get_args(arm)]
    if (value is None and NoneType in arms) or (isinstance(value, str) and value in words):
        return value
    several = [get_args(arm) for arm in arms if get_origin(arm) is tuple]
    if several and isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)):
        return _items(name, tuple(value), several[0])
    for arm in arms:
        if arm in _CHECKS:
            return _CHECKS[arm](name, value)
    wanted = [*words, *["a list"] * bool(several)]
    raise ValueError(f"{name} must be {' or '.join(wanted)}, not {value!r}")


def _items(name: str, values: tuple[Any, ...], hints: tuple[Any, ...]) -> tuple[Any, ...]:
    if hints[-1] is Ellipsis:
        hints = hints[:1] * len(values)
    if len(values) != len(hints):
        raise ValueError(f"{name} must be {len(hints)} values, not {len(values)}: {values}")
    return tuple(fitted(name, value, hint) for value, hint in zip(values, hints, strict=True))


def _text(name: str, value: Any) -> str:
    return word(name, os.fspath(value) if isinstance(value, os.PathLike) else value)


_CHECKS: dict[Any, Callable[[str, Any], Any]] = {
    bool: truth_value,
    int: whole_number,
    float: number,
    str: _text,
    Path: lambda name, value: Path(_text(name, value)),
}


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}

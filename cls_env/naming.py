"""Looking a name up, and answering an unknown one with the nearest known."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

Value = TypeVar("Value")
MOST_LISTED = 30


def lookup(kind: str, name: str, known: Mapping[str, Value]) -> Value:
    """The value under `name`.

    Args:
        kind: What is looked up, for the message: "dataset", "objective".
        name: The name asked for.
        known: All names and their values.

    Raises:
        ValueError: The name is unknown; the message gives the nearest known one, and all of them unless they are many.

    >>> lookup("objective", "aegp", {"ce": 1, "aepg": 2})
    Traceback (most recent call last):
    ValueError: unknown objective 'aegp'; did you mean 'aepg'? Known: ce, aepg
    """
    if name in known:
        return known[name]
    near = get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    listed = list(known) if len(known) <= MOST_LISTED else [*near, f"... ({len(known)} in all)"]
    raise ValueError(f"unknown {kind} {name!r}{hint} Known: {', '.join(listed)}")

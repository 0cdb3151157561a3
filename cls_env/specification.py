"""Looking a name up, with arguments or without, and answering an unknown one with the nearest known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from inspect import Parameter, signature
from numbers import Integral, Real
from typing import Any, TypeVar

Value = TypeVar("Value")
MOST_LISTED = 30
LONGEST = 10_000
"""Characters of a specification; to divide a longer one would take long."""
LONGEST_QUOTE = 500
"""Characters of a value in a message."""
_PLAIN_TYPES: dict[str, tuple[type, str]] = {
    "bool": (bool, "true or false"),
    "int": (Integral, "a whole number"),
    "float": (Real, "a number"),
    "str": (str, "a word"),
}


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
    try:
        return known[name]
    except (KeyError, TypeError):  # a TypeError for a list, which can't be a key
        pass
    near = get_close_matches(name if isinstance(name, str) else quoted(name), known, n=3, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    listed = list(known) if len(known) <= MOST_LISTED else [*near, f"... ({len(known)} in all)"]
    raise ValueError(f"unknown {kind} {quoted(name)}{hint} Known: {', '.join(listed)}")


def quoted(value: object) -> str:
    r"""A value as Python writes it, for a message: in one line, and cut where it is long.

    >>> quoted("two\nlines"), quoted(range(2)), quoted(10**5000)
    ("'two\\nlines'", 'range(0, 2)', 'an int that is too large to be written')
    """
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return f"an {type(value).__name__} that is too large to be written"
    text = " ".join(line.strip() for line in text.splitlines())  # arrays are written in several
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]} ..."


def parse_specification(specification: str) -> tuple[str, dict[str, Any]]:
    """A name with arguments, as the command line gives them: `name:key=value,key=value`.

    Values are JSON where they can be read so, else words; commas within brackets do not separate.

    Raises:
        ValueError: What follows the colon is not of the form key=value, a key is given twice, it is no text, or it has
            more than 10,000 characters.

    >>> parse_specification("lora:r=8,targets=qkv")
    ('lora', {'r': 8, 'targets': 'qkv'})
    """
    if not isinstance(specification, str):
        raise ValueError(f"expected text, 'name' or 'name:key=value,key=value', not {quoted(specification)}")
    if len(specification) > LONGEST:
        raise ValueError(f"a specification has at most {LONGEST:,} characters, not {len(specification):,}")
    name, colon, rest = specification.partition(":")
    pairs = [part.partition("=") for part in re.split(r",(?![^\[{]*[\]}])", rest) if part]
    if (colon and not pairs) or not all(key and equals for key, equals, _ in pairs):
        raise ValueError(f"arguments are given as name:key=value,key=value, not {quoted(specification)}")
    arguments = {key: parse_value(text) for key, _, text in pairs}
    if len(arguments) < len(pairs):
        raise ValueError(f"an argument is given twice in {quoted(specification)}")
    return name, arguments


def parse_value(text: str) -> Any:
    """Text as JSON reads it; what is not JSON stays text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # also for numbers of more than 4,300 digits
        return text


def check_arguments(kind: str, function: Callable[..., Any], given: Mapping[str, Any], taken: Sequence[str]) -> None:
    """Check that a function takes the arguments that a specification gives, where it does not take any name.

    Args:
        kind: What the function is, for the message: "objective 'focal'".
        function: Function or class.
        given: Arguments by name.
        taken: Its parameters that are not the specification's to give.

    Raises:
        ValueError: It does not; the message names the nearest one that it has, or what the value must be.
    """
    parameters = signature(function).parameters
    takes_any = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values())
    known = {
        name: parameter
        for name, parameter in parameters.items()
        if name not in taken and parameter.kind is not Parameter.VAR_KEYWORD
    }
    for name, value in given.items():
        if takes_any and name not in parameters:
            continue
        if not known:
            raise ValueError(f"{kind} has no argument, and so no {name!r}")
        check_type(f"{name} of {kind}", value, lookup(f"argument of {kind}", name, known).annotation)


def check_type(what: str, value: Any, annotation: Any) -> None:
    """Check that a value from a specification is what a parameter's annotation asks for, if that is one plain type.

    A word in place of `true` or `false` would count as true, and one in place of a number fail somewhere within.

    Args:
        what: For the message: "scale of PEFT module 'adapter'".
        value: As `parse_specification` gives it.
        annotation: A type or its name, with ` | None` or without.

    Raises:
        ValueError: It is not.
    """
    plain, _, rest = str(getattr(annotation, "__name__", annotation)).partition(" | ")
    if plain not in _PLAIN_TYPES or rest not in ("", "None") or (rest and value is None):
        return
    wanted, words = _PLAIN_TYPES[plain]
    if not isinstance(value, wanted) or (isinstance(value, bool) and plain != "bool"):
        raise ValueError(f"{what} must be {words}, not {quoted(value)}")

"""Specifications of a name with arguments."""

from __future__ import annotations

from typing import Any

import pytest

from cls_env.specification import check_arguments, parse_specification


def layer(x: object, rank: int = 4, scale: bool = False, place: str | None = None, factor: float = 1.0, other=()):  # type: ignore[no-untyped-def]
    """Annotated as the functions that specifications name."""


def open_ended(x: object, rank: int = 4, **further: object) -> None:
    """Takes any name."""


@pytest.mark.parametrize(
    ("specification", "name", "arguments"),
    [
        ("lora", "lora", {}),
        ("lora:r=8,scale=true,targets=kv+fc2", "lora", {"r": 8, "scale": True, "targets": "kv+fc2"}),
        ('a:b=[1,2],c={"d":1,"e":2},f=1e-3', "a", {"b": [1, 2], "c": {"d": 1, "e": 2}, "f": 1e-3}),
    ],
)
def test_names_and_arguments_are_told_apart(specification: str, name: str, arguments: dict[str, Any]) -> None:
    assert parse_specification(specification) == (name, arguments)


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("lora:", "name:key=value"),
        ("lora:8", "name:key=value"),
        ("lora:=8", "name:key=value"),
        ("lora:r=8,r=4", "given twice in 'lora:r=8,r=4'"),
        (None, "not None"),
        (["lora"], r"not \['lora'\]"),
    ],
)
def test_what_is_no_specification_is_refused(specification: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_specification(specification)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "False"}, "scale of layer must be true or false, not 'False'"),
        ({"scale": 0}, "must be true or false, not 0"),
        ({"rank": "nan"}, "rank of layer must be a whole number, not 'nan'"),
        ({"rank": True}, "must be a whole number, not True"),
        ({"rank": 2.5}, r"must be a whole number, not 2\.5"),
        ({"factor": None}, "must be a number, not None"),
        ({"place": ["kv"]}, r"place of layer must be a word, not \['kv'\]"),
        ({"x": 1}, "unknown argument of layer 'x'"),
    ],
)
def test_values_of_another_type_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_arguments("layer", layer, arguments, ("x",))


def test_values_of_the_type_pass() -> None:
    check_arguments("layer", layer, {"rank": 2, "scale": True, "place": None, "factor": 3, "other": "any"}, ("x",))
    check_arguments("layer", open_ended, {"rank": 2, "anything": "goes"}, ("x",))


def test_what_the_caller_gives_is_not_the_specifications() -> None:
    with pytest.raises(ValueError, match=r"unknown argument of layer 'x'. Known: rank"):
        check_arguments("layer", open_ended, {"x": 1}, ("x",))

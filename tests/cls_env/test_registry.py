"""The registry of named definitions: registering, looking up, checking and making."""

from __future__ import annotations

from typing import Any

import pytest

from cls_env.registry import Registry


def scaled(x: float, factor: float = 2.0) -> float:
    return factor * x


class Power:
    """A definition that is a class."""

    def __init__(self, exponent: int = 2) -> None:
        if exponent < 0:
            raise ValueError(f"exponent must be at least 0, not {exponent}")
        self.exponent = exponent

    def __call__(self, x: float) -> float:
        return x**self.exponent


@pytest.fixture
def functions() -> Registry[Any]:
    return Registry("function", {"scaled": scaled, "power": Power}, inputs=["x"], try_out=lambda made: made(1.0))


def test_it_is_a_mapping(functions: Registry[Any]) -> None:
    assert list(functions) == ["scaled", "power"] and len(functions) == 2
    assert functions["scaled"] is scaled and "other" not in functions and functions.get("other") is None
    functions["scaled"] = abs
    functions.update(other=min)
    assert functions.pop("scaled") is abs and set(functions) == {"power", "other"}


def test_functions_get_their_arguments_and_classes_are_instantiated(functions: Registry[Any]) -> None:
    assert functions.make("scaled")(3) == 6 and functions.make("scaled:factor=3")(3) == 9
    assert isinstance(functions.make("power"), Power) and functions.make("power:exponent=3")(2) == 8
    assert functions.check("scaled:factor=3") == (scaled, {"factor": 3})


def test_registering(functions: Registry[Any]) -> None:
    @functions.register("negated")
    def negated(x: float) -> float:
        return -x

    assert functions.make("negated")(3) == -3
    for name, error, message in (
        ("negated", ValueError, "function 'negated' is there already; choose another name"),
        ("a:b", ValueError, "the name of a new function must not contain ':', unlike 'a:b'"),
        (3, TypeError, "the name of a new function must be text, not 3"),
    ):
        with pytest.raises(error, match=message):
            functions.register(name)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="function 'three': it must be a function or a class, not 3"):
        functions.register("three")(3)
    assert "three" not in functions


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("scalled", "unknown function 'scalled'; did you mean 'scaled'"),
        ("scaled:factr=3", "unknown argument of function 'scaled' 'factr'; did you mean 'factor'"),
        ("scaled:x=3", "unknown argument of function 'scaled' 'x'"),
        ("scaled:factor=much", "factor of function 'scaled' must be a number, not 'much'"),
        ("scaled:3", "function 'scaled:3': arguments are given as name:key=value"),
        (None, "function None: expected text"),
        ("power:exponent=-1", "function 'power:exponent=-1': exponent must be at least 0, not -1"),
    ],
)
def test_wrong_specifications_are_refused(functions: Registry[Any], specification: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        functions.make(specification)


def test_errors_of_any_kind_name_the_specification(functions: Registry[Any]) -> None:
    functions["broken"] = lambda x, size=1: {}[size]
    with pytest.raises(ValueError, match="function 'broken:size=2': 2"):
        functions.make("broken:size=2")

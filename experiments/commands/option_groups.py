"""Groups of options in `--help`: the main options first, then those of stream, policy, training and tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from experiments.config.settings import (
    EvaluationSettings,
    LearningSettings,
    PolicySettings,
    Settings,
    StreamSettings,
)

GROUPS: dict[str, type] = {
    "stream": StreamSettings,
    "policy": PolicySettings,
    "training": LearningSettings,
    "test": EvaluationSettings,
}
"""The groups after the main options, with the classes whose fields they show."""
NO_PREFIX = tyro.conf.arg(name="")
"""Marks a command's configuration, so that its groups have short titles."""
MAIN = (
    "dataset",
    "root",
    "num_tasks",
    "model",
    "peft",
    "method",
    "objective",
    "objectives",
    "algorithms",
    "methods",
    "epochs",
    "label_noise",
    "seed",
    "seeds",
    "device",
)
"""Fields that are shown first."""


class GroupedOptions:
    """A rule of tyro that shows the fields of a configuration in groups."""

    def __init__(self) -> None:
        self._reading = False

    def __call__(self, info: StructTypeInfo) -> StructConstructorSpec | None:
        """How a configuration, or a group of its fields, is made from the command line; None for other types."""
        if fields := getattr(info.type, "fields_of_group", None):
            return StructConstructorSpec(instantiate=dict, fields=fields)
        if self._reading or not (isinstance(info.type, type) and issubclass(info.type, Settings)):
            return None
        self._reading = True
        try:
            plain = ConstructorRegistry.get_struct_spec(info)
        finally:
            self._reading = False
        assert isinstance(plain, StructConstructorSpec)
        return StructConstructorSpec(_from_groups(plain.instantiate), tuple(_in_groups(plain.fields)))


def _in_groups(fields: Iterable[StructFieldSpec]) -> Iterable[StructFieldSpec]:
    """The main fields themselves, and a field for each further group."""
    left = {field.name: replace(field, helptext=_one_paragraph(field.helptext)) for field in fields}
    yield from (left.pop(name) for name in MAIN if name in left)
    own = {name for kind in GROUPS.values() for name in kind.__dataclass_fields__}  # type: ignore[attr-defined]
    yield from (left.pop(name) for name in list(left) if name not in own)
    for title, kind in GROUPS.items():
        chosen = tuple(left.pop(name) for name in list(left) if name in kind.__dataclass_fields__)  # type: ignore[attr-defined]
        if chosen:
            group = type(title, (), {"fields_of_group": chosen})
            yield StructFieldSpec(name=title, type=group, default=group(), helptext="")


def _one_paragraph(text: str | Callable[[], str | None] | None) -> Callable[[], str | None]:
    """A help text without the line breaks of its source."""

    def joined() -> str | None:
        read = text() if callable(text) else text
        return None if read is None else " ".join(read.split())

    return joined


def _from_groups(make: Callable[..., Any]) -> Callable[..., Any]:
    """A function that makes the configuration from its main fields and the groups."""

    def instantiate(**given: Any) -> Any:
        grouped = {name: value for title in GROUPS for name, value in given.pop(title, {}).items()}
        return make(**given, **grouped)

    return instantiate


REGISTRY = ConstructorRegistry()
"""tyro's registry with this rule."""
REGISTRY.struct_rule(GroupedOptions())

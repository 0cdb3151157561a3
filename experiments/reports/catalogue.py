"""Tables of what the command line takes by name: objectives, PEFT modules and methods."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from functools import partial
from inspect import getdoc, signature
from typing import Any

from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from rich.table import Table

from agents.methods import METHODS, NO_OBJECTIVE
from agents.objectives import OBJECTIVES
from agents.peft_modules import PEFT_MODULES, library

_INPUTS = ("logits", "action_rewards", "progress", "backbone", "blocks", "seed", "name", "config")


def objectives_table() -> Table:
    """Every objective: its name, its arguments with their defaults, and what it is."""
    table = _table("objective", "arguments", "what it is")
    for name, definition in OBJECTIVES.items():
        plain = definition.func if isinstance(definition, partial) else definition
        table.add_row(name, _arguments(definition), _first_sentence(plain))
    return table


def modules_table() -> Table:
    """Every PEFT module: its name, its arguments, and what it is; of peft's, the place and what we set."""
    table = _table("module", "arguments", "what it is")
    for name, builder in PEFT_MODULES.items():
        if name not in library.METHODS:
            table.add_row(name, _arguments(builder), _first_sentence(builder))
    for name, method in library.METHODS.items():
        kind: Any = method.peft_type or name.upper().replace("-", "_")
        config = PEFT_TYPE_TO_CONFIG_MAPPING.get(kind)
        given = ", ".join(f"{key}={_typed(value)}" for key, value in method.arguments.items())
        remark = f"of peft: the arguments of {config.__name__}" if config else "of a later version of peft"
        table.add_row(name, ", ".join(filter(None, (f"targets={method.targets}", given))), remark)
    return table


def methods_table() -> Table:
    """Every continual-learning method: name, accepted PEFT modules, arguments, and description."""
    table = _table("method", "objective", "peft", "arguments", "what it is")
    for name, definition in METHODS.items():
        objective = "any" if definition.learns_by_gradient else NO_OBJECTIVE
        accepted = definition.accepts_peft
        peft = str(accepted) if accepted.any_name else definition.default_peft
        table.add_row(name, objective, peft, _arguments(definition), _first_sentence(definition))
    return table


def unfit_lines() -> Iterator[str]:
    """The methods of peft that do not fit a ViT, each with its reason."""
    for name, reason in library.UNFIT.items():
        yield f"{name}: {reason}"


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _arguments(definition: Callable[..., Any], inputs: Collection[str] = _INPUTS) -> str:
    parameters = signature(definition).parameters.values()
    return ", ".join(f"{each.name}={_typed(each.default)}" for each in parameters if each.name not in inputs)


def _typed(value: object) -> str:
    """A value as it is written in a specification."""
    return value if isinstance(value, str) else json.dumps(value)


def _first_sentence(definition: Callable[..., Any]) -> str:
    text = " ".join((getdoc(definition) or "").split("\n\n")[0].split())
    return text.partition("; ")[0]

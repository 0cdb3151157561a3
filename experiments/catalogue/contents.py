"""The contents of the catalogue, from the definitions themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from inspect import getdoc, signature
from typing import Any

from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

from agents.methods import METHODS, NO_OBJECTIVE, Method
from agents.objectives import OBJECTIVES
from agents.peft_modules import PEFT_MODULES, library
from experiments.catalogue.names import Row
from experiments.rl.algorithms import ALGORITHMS
from experiments.studies import STUDIES
from experiments.studies.study import Study

_INPUTS = ("logits", "action_rewards", "progress", "backbone", "blocks", "seed", "name", "config")


def contents() -> dict[str, dict[str, Row]]:
    """Rows of text by name, for each kind, and the methods of peft that do not fit a ViT."""
    return {
        "objective": {name: _objective(definition) for name, definition in OBJECTIVES.items()},
        "PEFT module": _modules(),
        "PEFT module that does not fit": {name: {"reason": reason} for name, reason in library.UNFIT.items()},
        "method": {name: _method(definition) for name, definition in METHODS.items()},
        "algorithm": {name: {"what it is": algorithm.title} for name, algorithm in ALGORITHMS.items()},
        "study": {name: _study(study) for name, study in STUDIES.items()},
    }


def _objective(definition: Callable[..., Any]) -> Row:
    plain = definition.func if isinstance(definition, partial) else definition
    return {"arguments": _arguments(definition), "what it is": _first_sentence(plain)}


def _modules() -> dict[str, Row]:
    own = {name: builder for name, builder in PEFT_MODULES.items() if name not in library.METHODS}
    rows = {
        name: {"arguments": _arguments(builder), "what it is": _first_sentence(builder)}
        for name, builder in own.items()
    }
    return rows | {name: _of_peft(name) for name in library.METHODS}


def _of_peft(name: str) -> Row:
    """Of a method of peft: the place and what we set."""
    method = library.METHODS[name]
    kind: Any = method.peft_type or name.upper().replace("-", "_")
    config = PEFT_TYPE_TO_CONFIG_MAPPING.get(kind)
    given = ", ".join(f"{key}={_typed(value)}" for key, value in method.arguments.items())
    remark = f"of peft: the arguments of {config.__name__}" if config else "of a later version of peft"
    return {"arguments": ", ".join(filter(None, (f"targets={method.targets}", given))), "what it is": remark}


def _method(definition: type[Method]) -> Row:
    accepted = definition.accepts_peft
    return {
        "objective": "any" if definition.learns_by_gradient else NO_OBJECTIVE,
        "peft": str(accepted) if accepted.any_name else definition.default_peft,
        "arguments": _arguments(definition),
        "what it is": _first_sentence(definition),
    }


def _study(study: Study[Any]) -> Row:
    more = ", and more that these lead to" if study.follow_up else ""
    return {
        "title": study.title,
        "runs": f"{len(study.entries(study.config))} runs{more}",
        "question": study.question,
    }


def _arguments(definition: Callable[..., Any]) -> str:
    parameters = signature(definition).parameters.values()
    return ", ".join(f"{each.name}={_typed(each.default)}" for each in parameters if each.name not in _INPUTS)


def _typed(value: object) -> str:
    """A value as it is written in a specification."""
    return value if isinstance(value, str) else json.dumps(value)


def _first_sentence(definition: Callable[..., Any]) -> str:
    text = " ".join((getdoc(definition) or "").split("\n\n")[0].split())
    return text.partition("; ")[0]

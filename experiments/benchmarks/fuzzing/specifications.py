"""Specifications such as `"focal:gamma=2"`, of all that is found by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Any

import timm
from hypothesis import strategies as some

from agents.algorithms.exploration import EXPLORATIONS, make_exploration
from agents.methods import METHODS, check_method, make_method
from agents.objectives import OBJECTIVES, make_objective
from agents.peft_modules import PEFT_MODULES, add_peft_module, check_peft_module
from cls_env.rewards.noise import REWARD_NOISES, make_reward_noise
from cls_env.specification import quoted
from experiments.benchmarks.fuzzing.attempts import Attempt
from experiments.benchmarks.fuzzing.values import WORDS, anything, texts
from experiments.rl.algorithms import ALGORITHMS, find_algorithm


@dataclass(frozen=True)
class Kind:
    """What a kind of specification names.

    Attributes:
        title: As messages call it.
        make: Makes the named thing.
        known: The definitions by name.
    """

    title: str
    make: Callable[[str], object]
    known: Mapping[str, Any]


KINDS = (
    Kind("objective", make_objective, OBJECTIVES),
    Kind("method", make_method, METHODS),
    Kind("PEFT module", check_peft_module, PEFT_MODULES),
    Kind("exploration", make_exploration, EXPLORATIONS),
    Kind("reward noise", make_reward_noise, REWARD_NOISES),
    Kind("algorithm", find_algorithm, ALGORITHMS),
)
BLOCKS = (0, 1)


@some.composite
def specifications(draw: some.DrawFn, known: Mapping[str, Any]) -> str:
    """A specification: a known name, alone or with a plausible value of an argument of its own; or of any words."""
    name = draw(some.sampled_from(sorted(known)))
    own, plausible = _arguments(known[name]), some.integers(0, 12).map(str) | some.sampled_from(["0.5", "true"])
    pairs: list[tuple[str, str]] = []
    match draw(some.integers(0, 3)):
        case 1 | 2 if own:
            pairs = [(draw(some.sampled_from(own)), draw(plausible))]
        case 3:
            name = draw(some.just(name) | texts())
            keys = some.sampled_from([*own, *own, "no_such", ""])
            values = some.sampled_from(WORDS) | plausible | some.floats().map(repr)
            pairs = draw(some.lists(some.tuples(keys, values), max_size=2))
    return f"{name}:{','.join(f'{key}={value}' for key, value in pairs)}" if pairs else name


def _arguments(definition: Any) -> list[str]:
    """The parameters of a definition, or of the class that an `Algorithm` names."""
    return sorted(signature(getattr(definition, "kind", definition)).parameters)


@some.composite
def named(draw: some.DrawFn) -> Attempt:
    """Something by its specification, or by a value that is none."""
    kind = draw(some.sampled_from(KINDS))
    wrong = anything().filter(lambda value: not callable(value))  # functions are objectives
    given = draw(specifications(kind.known) if draw(some.integers(0, 4)) else wrong)
    names = () if kind.make is find_algorithm else (kind.title,)
    return Attempt(kind.title, quoted(given), names, partial(kind.make, given))


@some.composite
def combined(draw: some.DrawFn) -> Attempt:
    """A method with a PEFT module and an objective."""
    method, peft = draw(specifications(METHODS)), draw(specifications(PEFT_MODULES))
    objective = draw(some.just("none") | specifications(OBJECTIVES))
    return Attempt(
        "check_method", quoted((method, peft, objective)), (), partial(check_method, method, peft, objective)
    )


@some.composite
def added(draw: some.DrawFn) -> Attempt:
    """A PEFT module in the smallest ViT."""
    given = draw(specifications(PEFT_MODULES))
    return Attempt("add_peft_module", quoted(given), (), partial(_add, given))


def _add(specification: str) -> None:
    backbone = timm.create_model("test_vit", num_classes=0).requires_grad_(False)
    add_peft_module(specification, backbone, BLOCKS, seed=0)

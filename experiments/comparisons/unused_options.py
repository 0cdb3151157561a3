"""Options that have no effect are refused: whoever gives one expects an effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from agents.methods import METHODS
from agents.objectives import anneals
from cls_env import DATASETS
from cls_env.specification import lookup, parse_specification
from experiments.comparisons.entries import Entry
from experiments.config.builders import augments, check
from experiments.config.settings import RunConfig, Settings

METHODS_IN_BLOCKS = ("coda-prompt", "dualprompt")
"""Methods of this package that put something into the blocks themselves."""


class Use(NamedTuple):
    """Where a setting changes what is computed.

    Attributes:
        applies_to: Whether it does so in a run.
        condition: What such a run has, in words.
    """

    applies_to: Callable[[RunConfig], bool]
    condition: str


def _learns(run: RunConfig) -> bool:
    return lookup("method", parse_specification(run.method)[0], METHODS).learns_by_gradient


def _has_module(run: RunConfig) -> bool:
    return parse_specification(run.peft)[0] != "none"


def _has_head_only_steps(run: RunConfig) -> bool:
    return _learns(run) and _has_module(run) and run.num_tasks != 1


def _has_frozen_steps(run: RunConfig) -> bool:
    """Whether features of a frozen backbone are used: by the head, or to look up prompts."""
    return (_learns(run) and not _has_module(run)) or (_has_head_only_steps(run) and run.freeze_fraction > 0)


def _has_parts_in_blocks(run: RunConfig) -> bool:
    name = parse_specification(run.method)[0]
    own = not METHODS[name].__module__.startswith("agents.")  # a method of the user's may do anything
    return parse_specification(run.peft)[0] not in ("none", "full") or name in METHODS_IN_BLOCKS or own


_LEARNING = Use(_learns, "methods that learn by gradients")

USES: dict[str, Use] = {
    **dict.fromkeys(("optimizer", "learning_rate", "rate_milestones", "weight_decay"), _LEARNING),
    "augment": _LEARNING,
    "epochs": Use(lambda run: _learns(run) or run.scenario == "online", "methods that learn by gradients"),
    "freeze_fraction": Use(_has_head_only_steps, "several tasks, and a PEFT module that learns by gradients"),
    "anneal": Use(
        lambda run: _has_head_only_steps(run) and 0 < run.freeze_fraction < 1 and anneals(run.objective),
        "an annealed objective, and tasks that begin with a frozen module which then learns",
    ),
    "early_stopping": Use(
        lambda run: _learns(run) and run.epochs > 1, "methods that learn by gradients, and several epochs"
    ),
    "cache_features": Use(
        lambda run: _has_frozen_steps(run) and not augments(run),
        "steps in which the head alone learns, on images that are not augmented",
    ),
    "momentum": Use(lambda run: _learns(run) and run.optimizer == "sgd", "--optimizer sgd"),
    "adam_betas": Use(lambda run: _learns(run) and run.optimizer == "adam", "--optimizer adam"),
    **dict.fromkeys(
        ("crop_fraction", "interpolation"),
        Use(
            lambda run: DATASETS[run.dataset].augment or run.image_size is not None,
            "photographs, or images of an --image-size of their own",
        ),
    ),
    "crop_scale": Use(lambda run: _learns(run) and augments(run), "--augment yes, or auto on photographs"),
    "noise_type": Use(lambda run: run.label_noise > 0, "--label-noise above 0"),
    "blocks": Use(_has_parts_in_blocks, "a PEFT module, or a method with prompts, in the blocks"),
}
"""Settings that not every run makes use of; the others change every run."""


def refuse_idle(config: Settings, default: Settings, entries: Sequence[Entry]) -> None:
    """Check that each setting that was changed changes at least one run.

    Args:
        config: The settings of a command.
        default: Those it has when nothing is given.
        entries: Its runs.

    Raises:
        ValueError: A setting changes none; or a name is unknown.
    """
    noise = getattr(config, "label_noise", None)
    if isinstance(noise, tuple) and config.noise_matrix is not None and noise != getattr(default, "label_noise", None):
        raise ValueError("--noise-matrix says which labels are wrong: drop --label-noise")
    for name in (field.name for field in fields(Settings)):
        value = getattr(config, name)
        if _same(value, getattr(default, name)) or not entries:
            continue
        runs = [entry.config for entry in entries if _same(getattr(entry.config, name), value)]
        if not runs:
            raise ValueError(f"{_option(name, value)} has no effect: this command sets it for each run")
        if name not in USES:
            continue
        for run in runs:
            check(run)  # from here on all names are known
        if not any(USES[name].applies_to(run) for run in runs):
            raise ValueError(f"{_option(name, value)} has no effect: it is used only with {USES[name].condition}")


def _same(first: Any, second: Any) -> bool:
    """Whether two settings are one; also where they are no number, so that whoever checks ranges can say so."""
    return repr(first) == repr(second)


def _option(name: str, value: Any) -> str:
    """An option as it is typed."""
    words = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{'' if value else 'no-'}{words}"
    return f"--{words} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"

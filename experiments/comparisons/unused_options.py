"""Refuses options that have no effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from agents.objectives import anneals
from cls_env import DATASETS
from experiments.config.entry import Entry
from experiments.config.settings import Settings
from experiments.config.typed_options import option_words
from experiments.config.validation import CheckedRun

METHODS_IN_BLOCKS = ("coda-prompt", "dualprompt")
"""Methods of this package that add parameters to the blocks themselves."""


class Use(NamedTuple):
    """When a setting has an effect on a run.

    Attributes:
        applies_to: Whether the setting has an effect on a run.
        condition: What such a run has, for the message.
    """

    applies_to: Callable[[CheckedRun], bool]
    condition: str


def _learns(run: CheckedRun) -> bool:
    return run.method.learns_by_gradient


def _has_module(run: CheckedRun) -> bool:
    return run.peft_name != "none"


def _has_head_only_steps(run: CheckedRun) -> bool:
    return _learns(run) and _has_module(run) and run.config.num_tasks != 1


def _has_parts_in_blocks(run: CheckedRun) -> bool:
    own = not type(run.method).__module__.startswith("agents.")  # a method of the user's may do anything
    return run.peft_name not in ("none", "full") or run.method_name in METHODS_IN_BLOCKS or own


def _anneals(run: CheckedRun) -> bool:
    partly_frozen = _has_head_only_steps(run) and 0 < run.config.freeze_fraction < 1
    return partly_frozen and run.objective is not None and anneals(run.objective)


_LEARNING = Use(_learns, "methods that learn by gradients")

USES: dict[str, Use] = {
    **dict.fromkeys(("optimizer", "learning_rate", "rate_milestones", "weight_decay"), _LEARNING),
    **dict.fromkeys(("augment", "compile", "on_divergence"), _LEARNING),
    "micro_batch": Use(
        lambda run: _learns(run) and (run.config.micro_batch or 0) < run.config.batch_size,
        "methods that learn by gradients, and a --batch-size that is larger",
    ),
    "epochs": Use(lambda run: _learns(run) or run.config.scenario == "online", "methods that learn by gradients"),
    "freeze_fraction": Use(_has_head_only_steps, "several tasks, and a PEFT module that learns by gradients"),
    "anneal": Use(
        _anneals,
        "an annealed objective, and tasks that begin with a frozen module which then learns",
    ),
    "early_stopping": Use(
        lambda run: _learns(run) and run.config.epochs > 1, "methods that learn by gradients, and several epochs"
    ),
    "cache_features": Use(
        lambda run: _learns(run) and not run.augments,
        "methods that learn by gradients, from images that are not augmented",
    ),
    "momentum": Use(lambda run: _learns(run) and run.config.optimizer == "sgd", "--optimizer sgd"),
    "adam_betas": Use(lambda run: _learns(run) and run.config.optimizer == "adam", "--optimizer adam"),
    **dict.fromkeys(
        ("crop_fraction", "interpolation"),
        Use(
            lambda run: DATASETS[run.config.dataset].augment or run.config.image_size is not None,
            "photographs, or images of an --image-size of their own",
        ),
    ),
    "crop_scale": Use(lambda run: _learns(run) and run.augments, "--augment yes, or auto on photographs"),
    "noise_type": Use(lambda run: run.config.label_noise > 0, "--label-noise above 0"),
    "blocks": Use(_has_parts_in_blocks, "a PEFT module, or a method with prompts, in the blocks"),
}
"""Settings that not every run uses; the others have an effect on every run."""


def refuse_unused(config: Settings, default: Settings, entries: Sequence[Entry]) -> None:
    """Check that each option that was given has an effect on at least one run.

    Args:
        config: The settings of a command.
        default: The command's defaults.
        entries: Its runs.

    Raises:
        ValueError: An option has no effect, or a run that it concerns is impossible.
    """
    noise = getattr(config, "label_noise", None)
    if isinstance(noise, tuple) and config.noise_matrix is not None and noise != getattr(default, "label_noise", None):
        raise ValueError("--noise-matrix says which labels are wrong: drop --label-noise")
    for name in (field.name for field in fields(Settings)):
        value = getattr(config, name)
        if _same(value, getattr(default, name)) or not entries:
            continue
        set_in_runs = config.backbone if name == "model" else value
        concerned = [entry for entry in entries if _same(getattr(entry.config, name), set_in_runs)]
        option = " ".join(option_words(name, value))
        if not concerned:
            raise ValueError(f"{option} has no effect: this command sets it for each run")
        if name not in USES:
            continue
        runs = [entry.checked for entry in concerned]
        if not any(USES[name].applies_to(run) for run in runs):
            raise ValueError(f"{option} has no effect: it is used only with {USES[name].condition}")


def _same(first: Any, second: Any) -> bool:
    """Whether two settings are equal; NaN equals NaN, so that the check of ranges can refuse it."""
    return repr(first) == repr(second)

"""Checks of the arguments that all one-step algorithms share, which make plain Python values of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any, TypedDict

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import MaybeCallback, Schedule

from cls_env.arguments import as_plain, number, whole_number

SEEDS = 2**32
"""Seeds of NumPy's global generator, which stable-baselines3 sets, are below this number."""


LARGEST_RATE = 1e30
"""Adam divides the rate by 1 - beta, and a float32 ends at 3e38."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Learning(TypedDict, total=False):
    """Constructor arguments that all one-step algorithms share; `OneStepAlgorithm` says what they are."""

    freeze_fraction: float
    crop_scale: tuple[float, float] | None
    cache_features: bool
    precision: str
    policy_kwargs: dict[str, Any] | None
    stats_window_size: int
    tensorboard_log: str | None
    verbose: int
    seed: int | None
    device: torch.device | str
    _init_setup_model: bool


def learning_rate(value: Any) -> float | Schedule:
    """A finite rate of at least 0, or a function of the remaining progress.

    Raises:
        ValueError: It is something else.
    """
    return value if callable(value) else _rate(value)


def _rate(value: Any) -> float:
    rate = number("learning_rate", value)
    if not (math.isfinite(rate) and rate >= 0):
        raise ValueError(f"learning_rate must be finite and at least 0, not {value!r}")
    if rate > LARGEST_RATE:
        raise ValueError(f"learning_rate must be at most {LARGEST_RATE:g}, not {value!r}")
    return rate


def rate_at(schedule: Schedule, progress_remaining: float) -> float:
    """What a schedule gives at some remaining progress.

    Raises:
        ValueError: It is no rate.
    """
    value = getattr(schedule, "value_schedule", schedule)(progress_remaining)  # SB3's wrapper would call float
    try:
        return _rate(value)
    except ValueError as error:
        raise ValueError(f"{error} (at remaining progress {progress_remaining:g})") from error


def callbacks(value: Any) -> MaybeCallback:
    """What stable-baselines3 takes as callbacks.

    Raises:
        ValueError: It is something else.
    """
    if isinstance(value, (list, tuple)) and all(isinstance(each, BaseCallback) for each in value):
        return list(value)
    if value is None or (callable(value) and not isinstance(value, type)) or isinstance(value, BaseCallback):
        return value
    raise ValueError(
        f"callback must be a BaseCallback, a list of them, or a function of (locals, globals), not {value!r}"
    )


def agent_seed(value: Any) -> int | None:
    """A seed that stable-baselines3 takes.

    Raises:
        ValueError: It is something else.
    """
    if value is None:
        return None
    seed = whole_number("seed", value, least=0)
    if seed >= SEEDS:
        raise ValueError(f"seed must be below 2**32, not {value!r}")
    return seed


def log_folder(value: Any) -> str | None:
    """A path as text.

    Raises:
        ValueError: It is something else.
    """
    if value is not None and not isinstance(value, (str, PathLike)):
        raise ValueError(f"tensorboard_log must be the path of a folder, or None, not {value!r}")
    return None if value is None else str(fspath(value))


def policy_arguments(value: Any) -> dict[str, Any]:
    """The entries of `policy_kwargs` with plain Python values.

    Raises:
        ValueError: They are not a dict with words as keys.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"policy_kwargs is a dict of a policy's arguments by name, not {value!r}")
    return {name: as_plain(entry) for name, entry in value.items()}

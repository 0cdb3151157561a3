"""The arguments that all one-step algorithms share: their types, and checks that return plain Python values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any, TypedDict

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import MaybeCallback, Schedule

from cls_env.arguments import as_plain, number, whole_number
from cls_env.specification import quoted

SEEDS = 2**32
"""Seeds of NumPy's global generator, which stable-baselines3 sets, are below this number."""
LARGEST_RATE = 1e30
"""Adam divides the rate by 1 - beta, and the largest float32 is 3e38."""


class FurtherLearnerKwargs(TypedDict, total=False):
    """Keyword arguments of all one-step algorithms without `learning_rate` and `batch_size`; see `EPG`."""

    freeze_fraction: float
    crop_scale: tuple[float, float] | None
    cache_features: bool
    precision: str
    compile: bool
    device_images: str
    micro_batch: int | None
    on_divergence: str
    policy_kwargs: dict[str, Any] | None
    stats_window_size: int
    tensorboard_log: str | None
    verbose: int
    seed: int | None
    device: torch.device | str
    _init_setup_model: bool


class LearnerKwargs(FurtherLearnerKwargs, total=False):
    """Keyword arguments of all one-step algorithms; `EPG` describes them."""

    learning_rate: float | Schedule
    batch_size: int


def learning_rate(value: Any) -> float | Schedule:
    """A finite rate of at least 0, or a function from the remaining progress of the task (1 to 0) to one.

    Raises:
        ValueError: It is something else.
    """
    return value if callable(value) else _rate(value)


def _rate(value: Any) -> float:
    rate = number("learning_rate", value)
    if not (math.isfinite(rate) and rate >= 0):
        raise ValueError(f"learning_rate must be finite and at least 0, not {quoted(value)}")
    if rate > LARGEST_RATE:
        raise ValueError(f"learning_rate must be at most {LARGEST_RATE:g}, not {quoted(value)}")
    return rate


def rate_at(schedule: Schedule, progress_remaining: float) -> float:
    """The rate of a schedule at a remaining progress in [0, 1].

    Raises:
        ValueError: The schedule returns no rate.
    """
    value = getattr(schedule, "value_schedule", schedule)(progress_remaining)  # SB3's wrapper would call float
    try:
        return _rate(value)
    except ValueError as error:
        raise ValueError(f"{error} (at remaining progress {progress_remaining:g})") from error


def timesteps(value: Any) -> int:
    """A whole number of at least 1; a float such as 1e5 is accepted, since it is often written so.

    Raises:
        ValueError: It is something else.
    """
    whole = int(value) if isinstance(value, float) and value % 1 == 0 else value
    return whole_number("total_timesteps", whole, least=1)


def callbacks(value: Any) -> MaybeCallback:
    """One or several callbacks, in a form that stable-baselines3 accepts.

    Raises:
        ValueError: It is something else.
    """
    if isinstance(value, (list, tuple)) and all(isinstance(each, BaseCallback) for each in value):
        return list(value)
    if value is None or (callable(value) and not isinstance(value, type)) or isinstance(value, BaseCallback):
        return value
    raise ValueError(
        f"callback must be a BaseCallback, a list of them, or a function of (locals, globals), not {quoted(value)}"
    )


def agent_seed(value: Any) -> int | None:
    """A seed in [0, 2**32), or None.

    Raises:
        ValueError: It is something else.
    """
    if value is None:
        return None
    seed = whole_number("seed", value, least=0)
    if seed >= SEEDS:
        raise ValueError(f"seed must be below 2**32, not {quoted(value)}")
    return seed


def log_folder(value: Any) -> str | None:
    """The path of a folder as text, or None.

    Raises:
        ValueError: It is something else.
    """
    if value is not None and not isinstance(value, (str, PathLike)):
        raise ValueError(f"tensorboard_log must be the path of a folder, or None, not {quoted(value)}")
    return None if value is None else str(fspath(value))


def policy_arguments(value: Any) -> dict[str, Any]:
    """`policy_kwargs` with plain Python values; an empty dict for None.

    Raises:
        ValueError: It is not a dict with text as keys.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"policy_kwargs is a dict of a policy's arguments by name, not {quoted(value)}")
    return {name: as_plain(entry) for name, entry in value.items()}

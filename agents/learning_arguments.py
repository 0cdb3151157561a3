"""Checks of the arguments that all one-step algorithms share, which make plain Python values of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from stable_baselines3.common.type_aliases import Schedule

from cls_env.arguments import as_plain, number, whole_number

SEEDS = 2**32
"""Seeds of NumPy's global generator, which stable-baselines3 sets, are below this number."""


def learning_rate(value: Any) -> float | Schedule:
    """A finite rate of at least 0, or a function of the remaining progress.

    Raises:
        ValueError: It is something else.
    """
    if callable(value):
        return value
    rate = number("learning_rate", value)
    if not (math.isfinite(rate) and rate >= 0):
        raise ValueError(f"learning_rate must be finite and at least 0, not {value!r}")
    return rate


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

"""Checks of the numbers in a configuration of pretraining."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any


def check_limits(config: Any, least: Mapping[str, float], above_zero: tuple[str, ...]) -> None:
    """Check entries of a configuration.

    Args:
        config: Has the entries as attributes.
        least: The smallest value of an entry, by its name.
        above_zero: Entries that must be positive.

    Raises:
        ValueError: An entry is out of range; the message names it.
    """
    for name, limit in least.items():
        if not limit <= getattr(config, name) < inf:
            raise ValueError(f"{name} must be at least {limit:g}, not {getattr(config, name)}")
    for name in above_zero:
        if not 0 < getattr(config, name) < inf:
            raise ValueError(f"{name} must be positive, not {getattr(config, name)}")

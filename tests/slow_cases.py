"""Parameters of a test of which only some are run by `make test`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def slow_but(quick: Collection[str], names: Iterable[str]) -> list[Any]:
    """The names as parameters, of which all but `quick` are marked slow: `make slow` runs them."""
    names = list(names)
    if unknown := set(quick) - set(names):
        raise ValueError(f"unknown names: {sorted(unknown)}")
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]

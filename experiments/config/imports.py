"""Importing the user's own modules."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module


def import_modules(names: Sequence[str]) -> None:
    """Import modules of the user's, in order. They register objectives, methods, PEFT modules or datasets.

    Raises:
        ValueError: A module does not exist or fails.
    """
    for name in names:
        try:
            import_module(name)
        except Exception as error:
            raise ValueError(f"--imports {name} can't be imported: {type(error).__name__}: {error}") from error

"""Keeping an earlier run under another name."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from experiments.runs.ownership import owned


def set_aside(folder: Path) -> Path | None:
    """Rename a folder to `NAME.1`, or the next number that is free, so that a new run can take its name.

    Returns:
        The new path; None if there is no folder.

    Raises:
        FolderInUseError: A process writes to it.
        OSError: It can't be renamed.
    """
    if not folder.exists():
        return None
    with owned(folder):
        pass
    target = next(path for number in count(1) if not (path := folder.with_name(f"{folder.name}.{number}")).exists())
    return folder.rename(target)

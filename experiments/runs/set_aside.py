"""Keeping an earlier run under another name."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from experiments.runs.ownership import owned


def set_aside(folder: Path) -> Path | None:
    """Rename the folder of a run to `NAME.1`, or the next number that is free, so that a new run can take its name.

    Returns:
        The new path; None if there is no folder.

    Raises:
        FileExistsError: The folder holds no run.
        FolderInUseError: A process writes to it.
        OSError: It can't be renamed.
    """
    if not folder.exists():
        return None
    if not (folder / "config.json").exists():
        raise FileExistsError(f"{folder} holds no run, and is not renamed: choose another --out")
    folder = folder.resolve()
    with owned(folder):
        pass
    target = next(path for number in count(1) if not (path := folder.with_name(f"{folder.name}.{number}")).exists())
    return folder.rename(target)

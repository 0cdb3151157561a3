"""Temporary folders in the cache, and the removal of those left by killed processes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

MARK = ".building-"
"""Part of the name of a temporary folder. The part before it is the name of the folder's lock."""


@contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """Make a folder with a unique name, and remove it at the end.

    Args:
        parent: The folder to make it in. Unused folders with the same `name` are removed from it.
        name: Prefix of its name.
    """
    remove_abandoned(parent, f".{name}-*{MARK}*")
    mark = f".{name}-{uuid4().hex[:16]}"
    lock, folder = parent / f"{mark}.lock", parent / f"{mark}{MARK}scratch"
    try:
        with FileLock(lock):
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.unlink(missing_ok=True)


def remove_abandoned(parent: Path, pattern: str = f".*{MARK}*") -> None:
    """Remove folders that no process uses anymore.

    Args:
        parent: The folder that contains them.
        pattern: Pattern of their names.
    """
    for left in parent.glob(pattern):
        try:
            with FileLock(left.with_name(f"{left.name.partition(MARK)[0]}.lock"), timeout=0):
                shutil.rmtree(left, ignore_errors=True)
        except Timeout:  # it is in use
            continue

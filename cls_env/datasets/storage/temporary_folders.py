"""Folders in the cache that are needed for a while only, and what processes that were killed left of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

MARK = ".building-"
"""Within the name of a folder that is needed for a while; what stands before it names the lock that guards it."""


@contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder of a name of its own, removed in the end.

    Args:
        parent: Where it is made; folders there with the same `name` are removed if no process uses them.
        name: The beginning of its name.
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
    """Remove folders that no process uses any more.

    Args:
        parent: Where they are.
        pattern: Of their names.
    """
    for left in parent.glob(pattern):
        try:
            with FileLock(left.with_name(f"{left.name.partition(MARK)[0]}.lock"), timeout=0):
                shutil.rmtree(left, ignore_errors=True)
        except Timeout:  # it is in use at this moment
            continue

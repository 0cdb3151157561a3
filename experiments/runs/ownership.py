"""Locks on folders: only one process at a time may write to a folder."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from experiments.files import read_json, write_json
from experiments.runs.errors import FolderInUseError

LOCK, OWNER = ".lock", ".owner"
"""Files in an owned folder: the operating system's lock, and a description of its holder. The lock ends with the
process, so files that a killed process leaves behind do not block others."""


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own a folder within a `with` block. It is created if missing, and removed again if nothing was written to it.

    Args:
        folder: The folder to write to.

    Raises:
        FolderInUseError: Another process owns it.
        OSError: The folder can't be written.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        lock = _locked(folder)
        try:
            yield
        finally:
            for file in (OWNER, LOCK):
                with suppress(OSError):
                    (folder / file).unlink()
            lock.release()
    finally:
        for place in made:
            with suppress(OSError):  # not empty
                place.rmdir()


def _locked(folder: Path) -> BaseFileLock:
    """Acquire the lock of a folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise FolderInUseError(
            f"{folder} is in use by {_owner(folder)}: wait until it ends, or choose another --out"
        ) from None
    except OSError as error:
        raise OSError(f"{folder} can't be written ({error}): choose another --out") from error
    try:
        write_json(folder / OWNER, {"pid": os.getpid(), "host": platform.node()})
    except BaseException:
        lock.release()
        raise
    return lock


def _owner(folder: Path) -> str:
    """A description of the process that owns a folder."""
    try:
        owner = read_json(folder / OWNER)
        return f"process {owner['pid']} on {owner['host']}"
    except Exception:  # the file is not written yet
        return "another process"

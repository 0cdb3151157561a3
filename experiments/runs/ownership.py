"""One owner of a folder at a time: while a process writes there, another one is refused."""

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
"""Files within the folder while it is owned: the operating system's lock, and who holds it. It ends with its process,
so that what a killed one leaves of these files blocks nobody."""


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own a folder for a while; it is made where it is missing, and removed again if nothing was written to it.

    Args:
        folder: What is to be written to.

    Raises:
        FolderInUseError: Another process owns it.
        OSError: It can't be written.
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
    """The lock of a folder, held."""
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
    """Who owns a folder, in words."""
    try:
        owner = read_json(folder / OWNER)
        return f"process {owner['pid']} on {owner['host']}"
    except Exception:  # it has not said so yet
        return "another process"

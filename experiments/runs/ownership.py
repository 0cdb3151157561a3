"""Locks on folders: only one process at a time may write to a folder.

A lock of the operating system ends with its process. On some shared file systems such a lock holds on one machine only.
So the owner also shows that it is alive: it touches a file every few seconds.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from filelock import BaseFileLock, FileLock, Timeout

from experiments.console import warn
from experiments.files import read_json, write_json
from experiments.runs.errors import FolderInUseError

LOCK, OWNER = ".lock", ".owner"
"""Files in an owned folder: the operating system's lock, and a description of its holder. Files that a killed process
leaves behind do not block others: on the same machine not at all, on another one for `PATIENCE` seconds."""
BEAT = 15.0
"""Seconds after which an owner touches its file again."""
PATIENCE = 4 * BEAT
"""Seconds without a touch after which an owner on another machine has ended."""


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
        over = Event()
        Thread(target=_show_life, args=(folder / OWNER, over), daemon=True).start()
        try:
            yield
        finally:
            over.set()
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
    if folder.is_symlink() and not folder.exists():
        raise OSError(f"{folder} links to {folder.readlink()}, which is missing: make it, or choose another --out")
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
        _take_over(folder)
        write_json(folder / OWNER, {"pid": os.getpid(), "host": platform.node()})
    except BaseException:
        lock.release()
        raise
    return lock


def _take_over(folder: Path) -> None:
    """Say that the owner before has ended, if it did not leave the folder in good order.

    Raises:
        FolderInUseError: It is on another machine, and has touched its file not long ago.
    """
    try:
        before, touched = read_json(folder / OWNER), (folder / OWNER).stat().st_mtime
        (folder / LOCK).touch()  # both times are those of the file system
        idle = (folder / LOCK).stat().st_mtime - touched
        pid, host = before["pid"], before["host"]
    except Exception:  # there is no owner, or its file was not yet written
        return
    if host != platform.node() and idle < PATIENCE:
        raise FolderInUseError(
            f"{folder} is in use by process {pid} on {host}, or was {idle:.0f} seconds ago: wait until it ends, or "
            "choose another --out"
        )
    warn(f"{folder} was in use by process {pid} on {host}, which ended without finishing; this process takes it over")


def _show_life(file: Path, over: Event) -> None:
    """Touch a file until an event is set."""
    while not over.wait(BEAT):
        with suppress(OSError):
            os.utime(file)


def _owner(folder: Path) -> str:
    """A description of the process that owns a folder."""
    try:
        owner = read_json(folder / OWNER)
        return f"process {owner['pid']} on {owner['host']}"
    except Exception:  # the file is not written yet
        return "another process"

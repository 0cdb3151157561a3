"""A hostile file, and the verdict of what comes of reading it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cls_env.command_line.environment import variable
from cls_env.command_line.errors import described, one_line
from experiments.benchmarks.hostile.valid_files import ValidFiles

REFUSED, HARMLESS, HARMED = "refused", "harmless", "harmed"
DOCUMENTED = (ValueError, OSError)
"""Errors that say that a file is refused."""
MOST_MEMORY = 2**28
MOST_DISK = 2**28
MOST_SECONDS = 60
"""What reading a file may take, in bytes and seconds."""
CANARY = "canary"
"""A file next to the folder that a case may use; only code of a hostile file makes it."""


class HarmError(Exception):
    """Raised by a reader that finds that harm was done."""


@dataclass(frozen=True)
class HostileFile:
    """A way to make a hostile file, and to read it as the package does.

    Attributes:
        kind: What is attacked: archive, image, weights, agent, ...
        name: Its name in tables.
        make: Makes it in a folder, from good files.
        read: Reads it.
        expected: `"refused"` or `"harmless"`.
        says: Words of the refusal, so that it is refused for what is wrong with it.
    """

    kind: str
    name: str
    make: Callable[[Path, ValidFiles], Path]
    read: Callable[[Path], object]
    expected: str = REFUSED
    says: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of reading a hostile file.

    Attributes:
        kind: Of the file.
        name: Of the file.
        verdict: `"refused"`: one line of `ValueError` or `OSError` that names the file. `"harmless"`: it was read, and
            nothing happened. `"harmed"`: code ran, a file lies outside of its folder, memory, disk or time were taken
            beyond bounds, or another error came.
        detail: The refusal, or the harm.
        expected: Whether verdict and words are those of the table.
    """

    kind: str
    name: str
    verdict: str
    detail: str
    expected: bool


def try_file(case: HostileFile, folder: Path, valid_files: ValidFiles) -> Outcome:
    """Make a hostile file in an empty folder, read it, and judge what comes of it.

    Args:
        case: The file.
        folder: An empty folder; beside the file nothing may appear in it.
        valid_files: Good files, of which hostile ones are made.
    """
    inside = folder / "inside"
    inside.mkdir(parents=True)
    file = case.make(inside, valid_files)
    disk, memory = _disk(folder), _Memory()
    verdict, detail = HARMLESS, ""
    try:
        with _alarm(), variable("CLS_ENV_CACHE", str(folder / "cache")):
            case.read(file)
    except DOCUMENTED as error:
        verdict, detail = _refusal(error, file)
    except BaseException as error:  # a hostile file may raise anything
        verdict, detail = HARMED, described(error)
    if harm := _harm(folder, memory.taken(), _disk(folder) - disk):
        verdict, detail = HARMED, harm
    return Outcome(case.kind, case.name, verdict, detail, verdict == case.expected and case.says in detail)


def _refusal(error: Exception, file: Path) -> tuple[str, str]:
    message = str(error)
    if "\n" in message:
        return HARMED, f"a refusal of several lines: {one_line(error)}"
    if isinstance(error, TimeoutError):
        return HARMED, message
    if not any(part in message for part in (file.name, file.parent.name)):
        return HARMED, f"a refusal that does not say of what: {message}"
    return REFUSED, one_line(error)


def _harm(folder: Path, memory: int, disk: int) -> str:
    if (folder / CANARY).exists():
        return "code in the file ran"
    if others := sorted(path.name for path in folder.iterdir() if path.name not in ("inside", "cache")):
        return f"{others} lie outside of the folder"
    if memory > MOST_MEMORY:
        return f"{memory / 2**20:.0f} MiB of memory were taken"
    return f"{disk / 2**20:.0f} MiB of disk were taken" if disk > MOST_DISK else ""


def _disk(folder: Path) -> int:
    found = (path.lstat() for path in folder.rglob("*"))
    return sum(min(about.st_size, 512 * getattr(about, "st_blocks", about.st_size)) for about in found)


class _Memory:
    """The peak of this process's memory from now on, on Linux; elsewhere none is measured."""

    def __init__(self) -> None:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self._before = self._status("VmRSS")

    def taken(self) -> int:
        """Bytes by which the peak is above what was taken before."""
        return self._status("VmHWM") - self._before

    @staticmethod
    def _status(name: str) -> int:
        with suppress(OSError):
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith(f"{name}:"):
                    return 1024 * int(line.split()[1])
        return 0


@contextmanager
def _alarm() -> Iterator[None]:
    """Raise TimeoutError after `MOST_SECONDS`, where the system has such an alarm."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def ring(*_: Any) -> None:
        raise TimeoutError(f"it took more than {MOST_SECONDS} s")

    started, before = time.monotonic(), signal.signal(signal.SIGALRM, ring)
    left, _ = signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 0.001) if left else 0)
        signal.signal(signal.SIGALRM, before)

"""A run in a process of a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from os import SEEK_END
from pathlib import Path
from typing import Any

from cls_env.command_line.errors import one_line
from cls_env.command_line.printable import printable
from experiments.console import warn
from experiments.execution.workers import execute
from experiments.files import write_text
from experiments.runs.errors import FolderInUseError, RunFailedError
from experiments.runs.ownership import BEAT

MOST_BYTES = 4096
"""How much of a log is searched for its last line."""
SECONDS_BETWEEN_COUNTS = 5.0
LOGS = "logs"
"""Folder, beside those of the runs, of what the runs print."""


def log_file(path: Path) -> Path:
    """The file of what a run prints.

    Args:
        path: The folder of the run.
    """
    return path.with_name(LOGS) / f"{path.name}.log"


def counting(path: Path) -> Callable[[int], None]:
    """A listener that writes how many images a run has processed to a file beside its log, every few seconds.

    Args:
        path: The folder of the run.
    """
    count, written = 0, -SECONDS_BETWEEN_COUNTS

    def listen(images: int) -> None:
        nonlocal count, written
        count += images
        if time.monotonic() >= written + SECONDS_BETWEEN_COUNTS:
            write_text(_count_file(path), f"{count}\n")
            written = time.monotonic()

    return listen


def counted_images(path: Path) -> int:
    """How many images a run has processed, as `counting` has written it; 0 if it has written nothing yet."""
    try:
        return int(_count_file(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # the job is still in the queue, or on a machine without this folder
        return 0


def _count_file(path: Path) -> Path:
    return log_file(path).with_suffix(".images")


def execute_and_log(run: Callable[..., Any], config: Any, path: Path, on_images: Callable[[int], None]) -> str | None:
    """Execute a run, and append what it prints to its log.

    While another process owns the folder, such as one on a machine that was lost just now, it waits.

    Args:
        run: The function of a `Job`.
        config: Its configuration.
        path: The folder of the run.
        on_images: Receives numbers of processed images.

    Returns:
        Why the run failed; None if it finished.
    """
    file = log_file(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
        while True:
            try:
                execute(run, config, path, on_images)
            except RunFailedError as error:
                warn(one_line(error))
                if not isinstance(error.__cause__, FolderInUseError):
                    return f"{one_line(error)} (log {file})"
                time.sleep(BEAT)
            else:
                return None


def last_line(path: Path, other: Path) -> str:
    """The last line that a run has printed, and the name of its log.

    Args:
        path: The folder of the run.
        other: The file to read if the run has no log.
    """
    file = log_file(path) if log_file(path).exists() else other
    try:
        with file.open("rb") as stream:
            stream.seek(-min(file.stat().st_size, MOST_BYTES), SEEK_END)
            lines = stream.read().decode(errors="replace").split("\n")
    except OSError as error:
        return f"{file} can't be read ({error})"
    last = next((line for line in reversed(lines) if line.strip()), "it has printed nothing")
    return f"{printable(last.strip())} (log {file})"

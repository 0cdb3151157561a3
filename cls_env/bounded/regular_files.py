"""Files that are neither pipes nor devices."""

from __future__ import annotations

from pathlib import Path


def check_regular(file: Path) -> None:
    """Check that a path is a file with an end: reading a pipe could wait for ever, and a device has no end.

    Raises:
        ValueError: It is a pipe, a device, a socket or a folder.
    """
    if file.exists() and not file.is_file():
        raise ValueError(f"{file.name} is not a regular file")

"""Temporary files that a killed process left beside its target."""

from __future__ import annotations

import glob
import os
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path


def temporary_prefix(target: Path) -> str:
    """How the name of a temporary file or folder begins, until it is moved to the target."""
    return f".{target.name}.{os.getpid()}."


def remove_leftovers(target: Path) -> None:
    """Remove the temporary files and folders of a target whose process has ended.

    Args:
        target: The file or folder that is about to be written.
    """
    if sys.platform == "win32":  # where it can't be asked whether a process lives without ending it
        return
    for left in target.parent.glob(f".{glob.escape(target.name)}.*"):
        process = re.fullmatch(r"(\d+)\..*", left.name.removeprefix(f".{target.name}."))
        if process and not _lives(int(process[1])):
            with suppress(OSError):
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True

"""A temporary folder beside the file or folder that is to be written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from cls_env.command_line.leftovers import remove_leftovers, temporary_prefix


@contextmanager
def folder_aside(target: Path) -> Iterator[Path]:
    """A context with a temporary folder in the folder of a target. Those of killed processes are removed.

    Args:
        target: The file or folder that is to be written. Its folder is created if missing.

    Raises:
        OSError: The folder can't be written, also within the context, for example on a full disk.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=temporary_prefix(target)) as temporary:
            yield Path(temporary)
    except (OSError, SafetensorError) as error:
        raise OSError(f"{target} can't be written: {error}; make room, or choose another place") from error


def check_writable(target: Path) -> None:
    """Check that the folder of a target can be written, before long work.

    Raises:
        OSError: It can't.
    """
    with folder_aside(target):
        pass

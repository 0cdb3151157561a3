"""Files of training states: safetensors with a manifest, in a zip. Reading one runs no code."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from agents.checkpoint.archive import read_json, read_tensors, write_archive, write_tensors

FORMAT = 1
"""Version of the format. A file of another version is refused by its number."""
KEPT = 2
"""Files that a folder keeps: the newest, and the one before in case the newest is damaged."""
_MANIFEST, _STATE = "manifest.json", "state.safetensors"
_NAME = re.compile(r"step_(\d+)\.zip")


def write_training_state(file: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors atomically, with a manifest: the version of the format, and the SHA-256 of the part.

    Raises:
        OSError: The file can't be written; an existing one is kept.
    """

    def fill(folder: Path) -> None:
        write_tensors(tensors, folder / _STATE)
        digest = hashlib.sha256((folder / _STATE).read_bytes()).hexdigest()
        manifest = {"format": FORMAT, "sha256": {_STATE: digest}}
        (folder / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")

    write_archive(file, fill, lambda name: name in (_MANIFEST, _STATE))


class TrainingStates:
    """A folder with the newest training states of a task, one file for each.

    Args:
        folder: The folder. It is created when a state is saved.
        warn: Receives a line for each state that is damaged.
    """

    def __init__(self, folder: Path, warn: Callable[[str], object] = warnings.warn) -> None:
        self.folder, self._warn = folder, warn

    def save(self, tensors: dict[str, Tensor], step: int) -> Path:
        """Write a state, and remove all but the `KEPT` newest ones.

        Args:
            tensors: The state.
            step: Number of gradient steps taken in the task.

        Returns:
            The file.
        """
        file = self.folder / f"step_{step:09d}.zip"
        write_training_state(file, tensors)
        for earlier in self._files()[KEPT:]:
            earlier.unlink(missing_ok=True)
        return file

    def newest(self) -> dict[str, Tensor] | None:
        """The newest state that is whole; None if there is none. A damaged one is named.

        Raises:
            ValueError: The newest file has another version of the format.
        """
        for file in self._files():
            try:
                return read_training_state(file)
            except DamagedStateError as error:
                self._warn(f"{error}; this state is not used")
        return None

    def clear(self) -> None:
        """Remove all states."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        """The files, the newest first."""
        if not self.folder.is_dir():
            return []
        return sorted((file for file in self.folder.iterdir() if _NAME.fullmatch(file.name)), reverse=True)


class DamagedStateError(ValueError):
    """A file of a training state is not whole."""


def read_training_state(file: Path) -> dict[str, Tensor]:
    """The tensors of `write_training_state`.

    Raises:
        DamagedStateError: The file is damaged.
        ValueError: It has another version of the format.
    """
    try:
        manifest = read_json(file, _MANIFEST)
    except ValueError as error:
        raise DamagedStateError(str(error)) from error
    if manifest.get("format") != FORMAT:
        raise ValueError(
            f"{file} has format {manifest.get('format')!r}, and this version reads format {FORMAT}: remove the file, "
            "and the task begins anew"
        )
    hashes = manifest.get("sha256")
    if not isinstance(hashes, dict) or not isinstance(hashes.get(_STATE), str):
        raise DamagedStateError(f"{file} is damaged: its manifest has no SHA-256 of {_STATE}")
    try:
        return read_tensors(file, _STATE, hashes[_STATE])
    except ValueError as error:
        raise DamagedStateError(str(error)) from error

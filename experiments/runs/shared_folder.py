"""The folder of a run that several processes execute: one of them writes to it, the others to copies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from agents.parallel.exchange import from_leader, wait_for_all
from agents.parallel.processes import current
from experiments.runs.run_folder import RunFolder


@contextmanager
def owned_together(folder: RunFolder) -> Iterator[RunFolder]:
    """Own the folder of a run within a `with` block.

    The first process owns the folder itself. Each other one gets a temporary copy, so that it can resume the run and do
    all that the first one does. The copies are removed at the end.

    Args:
        folder: The folder; that of the first process counts.

    Yields:
        The folder to read and write.

    Raises:
        FolderInUseError: Another run writes to it.
        OSError: It can't be written, or a process does not see its files.
    """
    if not current().several:
        with folder.owned():
            yield folder
    elif current().leads:
        with folder.owned():
            from_leader((str(folder.path.absolute()), _files(folder.path)))
            wait_for_all()  # the copies are made
            yield folder
    else:
        path, files = from_leader(("", [""]))
        with TemporaryDirectory(prefix="cls-env-") as place:
            copied = Path(place) / Path(path).name
            _copy(Path(path), files, copied)
            wait_for_all()
            yield RunFolder(copied)


def _files(folder: Path) -> list[str]:
    """The files of a folder, except locks and temporary ones, by their paths in it."""
    found = (file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file())
    return [file.as_posix() for file in found if not file.name.startswith(".")]


def _copy(folder: Path, files: list[str], target: Path) -> None:
    for name in files:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(folder / name, target / name)
        except FileNotFoundError:
            raise OSError(
                f"process {current().rank} does not see {folder / name}: all processes must share the folder of the run"
            ) from None

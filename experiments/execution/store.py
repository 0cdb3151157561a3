"""Runs that are kept on a file system of fsspec, such as a bucket of S3, and are executed on disks of other machines.

The archive of a run holds its folder as it was after the last checkpoint. Its name is `NAME.unfinished.zip`, and
`NAME.zip` when the run is finished. An archive is replaced as a whole.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fsspec

from cls_env.bounded.limits import RESULTS, leads_out
from cls_env.bounded.zip_files import open_zip
from cls_env.command_line.errors import ReportedError, described
from experiments.config.identity import what_is_learned
from experiments.files import read_json
from experiments.runs.errors import FolderInUseError
from experiments.runs.job import Job
from experiments.runs.ownership import owned
from experiments.runs.run_folder import RunFolder

UNFINISHED = ".unfinished"
Progress = tuple[bool, int, tuple[int, str]]
"""How far a run is: whether it is finished, how many tasks are, and the newest state within a task."""
NOTHING: Progress = (False, 0, (0, ""))


class Store:
    """Archives of run folders.

    Args:
        url: A folder on any file system that fsspec knows, such as s3://bucket/runs.

    Raises:
        ReportedError: Its file system needs a package that is not installed.
        ValueError: There is no such file system.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise ReportedError(f"--store {url}: {error}") from error
        except ValueError as error:
            raise ValueError(f"--store {url}: {error}") from error

    def push(self, folder: Path) -> None:
        """Replace the archive of a folder.

        Raises:
            OSError: It can't be written.
        """
        finished = RunFolder(folder).finished
        target = self._archive(folder, finished)
        with self._naming(target), TemporaryDirectory(prefix="cls-env-") as place:
            archive = Path(place) / "run.zip"
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
                for file in files_of(folder):
                    packed.write(folder / file, file)
            self._files.makedirs(self._root, exist_ok=True)
            self._files.put_file(str(archive), f"{target}.new")
            self._files.mv(f"{target}.new", target)
            if finished and self._files.exists(other := self._archive(folder, False)):
                self._files.rm_file(other)

    def holds_finished(self, folder: Path) -> bool:
        """Whether there is an archive of the finished run of a folder."""
        archive = self._archive(folder, True)
        with self._naming(archive):
            self._files.invalidate_cache()
            return bool(self._files.exists(archive))

    def pull(self, folder: Path) -> Progress | None:
        """Unpack the archive of a folder, if its run is further than the one in the folder.

        Returns:
            How far the run in the archive is; None if there is no archive.

        Raises:
            OSError: It can't be read, is damaged, or unpacks to far more than its own size; or it is of another run.
            FolderInUseError: Another process writes to the folder.
        """
        source = self._archive(folder, self.holds_finished(folder))
        with self._naming(source), TemporaryDirectory(prefix="cls-env-") as place:
            if not self._files.exists(source):
                return None
            archive, run = Path(place) / "run.zip", Path(place) / "run"
            self._files.get_file(source, str(archive))
            _unpack(archive, run)
            found = progress_of(run)
            if found > progress_of(folder):
                _check_same(run, folder)
                with owned(folder):
                    _replace(folder, run)
            return found

    def _archive(self, folder: Path, finished: bool) -> str:
        return f"{self._root.rstrip('/')}/{folder.name}{'' if finished else UNFINISHED}.zip"

    @contextmanager
    def _naming(self, file: str) -> Iterator[None]:
        try:
            yield
        except FolderInUseError:
            raise
        except Exception as error:  # each file system has errors of its own
            raise OSError(f"{file} in --store {self.url}: {described(error)}") from error


def in_store(job: Job, url: str) -> Job:
    """A job whose runs are taken from a store and kept in it, in addition to their folders.

    Args:
        job: The job.
        url: See `Store`.
    """
    Store(url)
    return job._replace(run=partial(run_in_store, job.run, url), done=partial(done_in_store, job.done, url))


def run_in_store(
    run: Callable[..., Any],
    url: str,
    config: Any,
    folder: RunFolder,
    on_images: Callable[[int], None],
    checkpoint_every: float,
) -> None:
    """Execute a run, or what is left of it in the store. It is kept after each checkpoint, and when it ends or stops.

    Args:
        run: The function of a `Job`.
        url: See `Store`.
        config: What to run.
        folder: Folder of its results.
        on_images: Receives numbers of processed images.
        checkpoint_every: Minutes between two checkpoints.
    """
    store = Store(url)
    kept = store.pull(folder.path) or NOTHING

    def keep() -> None:
        nonlocal kept
        if (now := progress_of(folder.path)) != kept:
            store.push(folder.path)
            kept = now

    def report(count: int) -> None:
        on_images(count)
        keep()

    try:
        run(config, folder, report, checkpoint_every=checkpoint_every)
    finally:
        keep()


def done_in_store(done: Callable[[RunFolder], bool], url: str, folder: RunFolder) -> bool:
    """Whether nothing is left to do in a folder, also if that was done on another machine."""
    store = Store(url)
    if not done(folder):
        with suppress(OSError):  # the run itself will say what is wrong, and the others go on
            store.pull(folder.path)
    elif folder.finished and not store.holds_finished(folder.path):
        store.push(folder.path)
    return done(folder)


def progress_of(folder: Path) -> Progress:
    """How far a run is; of two of the same run, the greater one is further."""
    run = RunFolder(folder)
    tasks = sum(1 for file in run.finished_tasks.glob("*.json") if file.stem.isdecimal())
    others = len(list(folder.glob("paused/*.json"))) + len(list(folder.glob("diverged.txt")))
    states = [file.relative_to(run.training).as_posix() for file in run.training.glob("*/*.zip")]
    return run.finished, tasks + others, max(((len(name), name) for name in states), default=(0, ""))


def files_of(folder: Path) -> list[str]:
    """The files of a run by their paths in its folder, except locks and temporary ones."""
    found = (file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file())
    return [file.as_posix() for file in found if not any(part.startswith(".") for part in file.parts)]


def _unpack(archive: Path, target: Path) -> None:
    with open_zip(archive, RESULTS) as packed:
        for entry in packed.infolist():
            if leads_out(entry.filename):
                raise ValueError(f"it has a file that leads out of the folder: {entry.filename!r}")
        target.mkdir()
        packed.extractall(target)


def _replace(folder: Path, other: Path) -> None:
    """Replace the files of a folder. If the process is killed meanwhile, the folder is not as far as the other one.

    The files that tell how far a run is are removed first and copied last.
    """
    for file in sorted(files_of(folder), key=_tells_progress, reverse=True):
        (folder / file).unlink()
    for file in sorted(files_of(other), key=_tells_progress):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(other / file, folder / file)


def _tells_progress(file: str) -> int:
    """2 for the summary, 1 for other files by which `progress_of` goes, else 0."""
    part = file.partition("/")[0]
    return 2 if part == "metrics.json" else int(part in ("finished_tasks", "paused", "diverged.txt", "training"))


def _check_same(archived: Path, folder: Path) -> None:
    """Raise ValueError if an archive and a folder hold runs of different configurations."""
    if not (folder / "config.json").exists():
        return
    ours, theirs = (what_is_learned(read_json(place / "config.json")) for place in (folder, archived))
    if ours != theirs:
        raise ValueError("it holds a run of another configuration: remove it")

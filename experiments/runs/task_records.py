"""Records of finished tasks, by which a resumed run notices files that are damaged, or of another run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from experiments.files import read_json, reading, write_json
from experiments.runs.run_folder import RunFolder

FORMAT = 1
"""Version of the format of a record."""
ADVICE = "start the run again with --fresh, which keeps the folder under another name, or with another --out"


class TaskRecords:
    """A record for each finished task, until the run is finished: the SHA-256 of its files, and the name of the run.

    Args:
        folder: Of the run.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def write(self, task: int) -> None:
        """Record the files of a task that has just been finished."""
        files = [self._folder.model, *self._files(task)]
        hashes = {file.relative_to(self._folder.path).as_posix(): sha256_of(file) for file in files}
        write_json(
            self._record(task), {"format": FORMAT, "run": self._folder.identity(), "task": task, "sha256": hashes}
        )

    def check_agent(self, file: Path, tasks: int) -> None:
        """Check that a file is the agent that this run has saved after some tasks.

        Raises:
            ValueError: It is not.
        """
        self._compare(file, self._recorded(tasks - 1).get(self._folder.model.name))

    def check_task(self, task: int) -> None:
        """Check the step log and the predictions of a finished task.

        The last task has no record if the run was killed just then, and no task has one after the end of the run. Such
        a task is not checked.

        Raises:
            ValueError: A file is missing, or is not what this run has written; or there are records of later tasks and
                none of this task.
        """
        for name, digest in self._recorded(task).items():
            if name != self._folder.model.name:
                self._compare(self._folder.path / name, digest)

    def _compare(self, file: Path, digest: str | None) -> None:
        if digest is not None and not (file.exists() and sha256_of(file) == digest):
            what = "is not as this run has written it" if file.exists() else "is missing"
            raise ValueError(f"{file} {what}: {ADVICE}")

    def _recorded(self, task: int) -> dict[str, str]:
        """The hashes of a task, by file name; none if it has no record.

        Raises:
            ValueError: The record is of another run or of another version of the format, or there is only a later one.
        """
        file = self._record(task)
        if not file.exists():
            if any(int(other.stem) > task for other in file.parent.glob("[0-9]*.json")):
                raise ValueError(f"{file} is missing: {ADVICE}")
            return {}
        with reading(file, ADVICE):
            record = read_json(file)
            version, run, hashes = record["format"], record["run"], dict(record["sha256"])
        if version != FORMAT:
            raise ValueError(f"{file} has format {version!r}, and this version reads format {FORMAT}: {ADVICE}")
        if run != self._folder.identity():
            raise ValueError(f"{file} is of another run: {ADVICE}")
        return hashes

    def _record(self, task: int) -> Path:
        return self._folder.finished_tasks / f"{task}.json"

    def _files(self, task: int) -> Iterator[Path]:
        for file in (
            self._folder.finished_tasks / f"{task + 1}.zip",  # the curve of an RL algorithm
            self._folder.steps / f"progress_task{task}.csv",
            *(self._folder.path / "predictions" / f"{moment}_task_{task}.npz" for moment in ("before", "after")),
        ):
            if file.exists():
                yield file


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()

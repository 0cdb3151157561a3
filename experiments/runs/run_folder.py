"""The folder of a run: its files, and how they are written and read.

config.json            the resolved configuration
protocol.json          what was run on what: weights, class order, seeds, versions, definitions
accuracy_matrix.csv    row t: accuracy on every task after learning task t
training_labels.csv    row t: label memorization after task t, as counts of training images
steps/                 a row for each gradient step, a file for each task
predictions/           predictions on the test images, before and after each task
model.zip              adapter and head after the last finished task, for `EPG.load`
model_before.zip       the same after the task before, until the run is finished
training/              the newest two states within the current task, see `SaveTraining`
finished_tasks/        hashes of the files of finished tasks, until the run is finished, see `TaskRecords`
paused/                accuracies on held-out images where the run has paused, see `experiments.runs.paused`
metrics.json           the summary; its presence says that the run is finished

`.lock` and `.owner` exist while a process writes to the folder.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from agents.evaluation import TaskEvaluation
from experiments.config.identity import MEASURING, canonical, measured, what_is_learned
from experiments.config.settings import RunConfig
from experiments.files import read_json, reading, replace_file, write_json
from experiments.runs.errors import FolderInUseError
from experiments.runs.label_fit import LabelFit
from experiments.runs.ownership import OWNER, owned
from experiments.runs.summary import checked_summary

LOGGED = ("train/task", "train/progress", "train/entropy")
"""Columns of the step log that are read."""
IDENTITY = (("stream", "images_sha256"), ("stream", "fingerprint"), ("weights", "sha256"))
"""Entries of the protocol card that must not change when a run is resumed."""
MOST_NAMED = 5
"""The most differing entries of two configurations that a message names."""
ANSWERS = tuple(field.name for field in fields(TaskEvaluation) if field.name != "task")


@dataclass(frozen=True)
class RunFolder:
    """Reads and writes one run's folder."""

    path: Path

    @property
    def model(self) -> Path:
        """File of the agent after the last finished task."""
        return self.path / "model.zip"

    @property
    def model_before(self) -> Path:
        """File of the agent after the task before, in case `model` is damaged."""
        return self.path / "model_before.zip"

    @property
    def training(self) -> Path:
        """Folder of the states within a task."""
        return self.path / "training"

    @property
    def finished_tasks(self) -> Path:
        """Folder of what an unfinished run keeps of its finished tasks."""
        return self.path / "finished_tasks"

    @property
    def steps(self) -> Path:
        """Folder of the step logs."""
        return self.path / "steps"

    def owned(self) -> AbstractContextManager[None]:
        """Own the folder while a run writes to it. A finished run is only read, which needs no lock.

        The lock of a process that was killed after the run had finished is removed.
        """
        if not self.finished:
            return owned(self.path)
        if (self.path / OWNER).exists():
            with suppress(FolderInUseError, OSError), owned(self.path):
                pass
        return nullcontext()

    def claim(self, config: RunConfig) -> RunConfig:
        """Write the configuration to the folder, or check that the folder holds a run of this configuration.

        Temporary files of a process that was killed are removed.

        Returns:
            The configuration; that of the folder, if its run measures more.

        Raises:
            FileExistsError: The folder holds something else, and is not changed.
            ValueError: Its configuration file is damaged.
        """
        file = self.path / "config.json"
        if file.exists():
            with self._reading(file):
                there = canonical(type(config), read_json(file))
            self._sweep()
            if others := _differences(there, config.as_json()):
                raise FileExistsError(
                    f"{self.path} holds a run of another configuration: {others}; choose another --out"
                )
            return replace(config, **{name: there[name] for name in MEASURING})
        if self.path.exists() and any(not file.name.startswith(".") for file in self.path.iterdir()):
            raise FileExistsError(f"{self.path} is not empty and holds no run; choose another --out")
        write_json(file, config.as_json())
        return config

    def record_protocol(self, card: dict[str, Any]) -> None:
        """Write the protocol card, or check that the run began with the same images, stream and weights.

        Raises:
            FileExistsError: It began with others; the folder is not changed.
            ValueError: The card is damaged.
        """
        file = self.path / "protocol.json"
        if not file.exists():
            write_json(file, card)
            return
        with self._reading(file):
            begun = read_json(file)
            begun["stream"]  # every card has it; early cards of `rl` have no weights
            others = [
                (section, key)
                for section, key in IDENTITY
                if section in begun and begun[section][key] != card[section][key]
            ]
        for section, key in others:
            raise FileExistsError(
                f"{self.path} was run on other data or weights ({section}, {key}); choose another --out"
            )

    @property
    def finished(self) -> bool:
        """Whether the run is complete."""
        return (self.path / "metrics.json").exists()

    def metrics(self) -> dict[str, Any]:
        """The summary of a finished run.

        Raises:
            ValueError: The file is damaged, or its accuracies are not those of the run.
        """
        file, accuracies = self.path / "metrics.json", self.path / "accuracy_matrix.csv"
        matrix = self.read_matrix() if accuracies.exists() else None
        with reading(file, "remove this file, and the same command goes on to write it anew"):
            return checked_summary(read_json(file), matrix)

    def identity(self) -> str:
        """A name for what the run learns: the SHA-256 of its configuration."""
        entries = what_is_learned(read_json(self.path / "config.json"))
        return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()

    def finish(self, metrics: dict[str, Any]) -> None:
        """Write the summary, and remove what only an unfinished run needs."""
        write_json(self.path / "metrics.json", metrics)
        self.tidy()

    def tidy(self) -> None:
        """Remove what only an unfinished run needs, from a finished one: a process may be killed before it does so."""
        for part in (self.training, self.finished_tasks):
            shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):  # the folder of a finished run may be read-only
            self.model_before.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove temporary files of a process that was killed while it wrote them. The folder must be owned."""
        for pattern in (".*.tmp", "*/.*.tmp", ".*.zip.*", "*/*/.*.zip.*", "*/.*.zip.*"):
            for file in self.path.glob(pattern):
                shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)

    def write_matrix(self, matrix: NDArray[np.float64]) -> None:
        """Write the accuracy matrix of the tasks finished so far."""
        columns = [f"task_{index}" for index in range(matrix.shape[1])]
        table = pd.DataFrame(matrix, columns=columns).rename_axis("end_task")
        replace_file(self.path / "accuracy_matrix.csv", lambda aside: table.to_csv(aside, float_format="%.9g"))

    def read_matrix(self) -> NDArray[np.float64]:
        """The accuracy matrix, a row for each finished task.

        Raises:
            ValueError: The file is missing or damaged.
        """
        file = self.path / "accuracy_matrix.csv"
        with self._reading(file):
            return pd.read_csv(file, index_col="end_task").to_numpy(dtype=float)

    def write_predictions(self, moment: str, tests: Sequence[TaskEvaluation]) -> None:
        """Write the predictions on test images at a moment such as `"before_task_1"`."""
        arrays = {
            "task": np.concatenate([np.full(len(test.labels), test.task) for test in tests]),
            **{key: np.concatenate([getattr(test, key) for test in tests]) for key in ANSWERS},
        }

        def write(aside: Path) -> None:
            with aside.open("wb") as stream:
                np.savez_compressed(stream, allow_pickle=False, **arrays)

        replace_file(self._predictions(moment), write)

    def has_predictions(self, moment: str) -> bool:
        """Whether there are predictions of a moment."""
        return self._predictions(moment).exists()

    def _predictions(self, moment: str) -> Path:
        return self.path / "predictions" / f"{moment}.npz"

    def read_predictions(self, moment: str) -> dict[str, NDArray[Any]]:
        """The predictions of a moment: the array `task`, and those of a `TaskEvaluation`.

        Raises:
            ValueError: The file is missing or damaged.
        """
        file = self._predictions(moment)
        with self._reading(file), np.load(file, allow_pickle=False) as arrays:
            answers = dict(arrays)
            answers["task"], answers["predictions"], answers["labels"]
        return answers

    def write_label_fits(self, fits: Sequence[LabelFit]) -> None:
        """Write the label memorization of the tasks finished so far."""
        table = pd.DataFrame(fits, columns=LabelFit._fields).rename_axis("task")
        replace_file(self.path / "training_labels.csv", lambda aside: table.to_csv(aside))

    def read_label_fits(self) -> list[LabelFit]:
        """The label memorization of each finished task.

        Raises:
            ValueError: The run was begun by a version that did not write this file, or the file is damaged.
        """
        file = self.path / "training_labels.csv"
        if not file.exists():
            raise ValueError(
                f"{file} is missing, or an older version began this run: remove the folder {self.path}, and the same "
                "command runs it anew"
            )
        with self._reading(file):
            table = pd.read_csv(file, index_col="task")
            return [LabelFit(*map(int, row)) for row in table.itertuples(index=False)]

    def read_steps(self) -> pd.DataFrame:
        """The step logs of all tasks, in order; without rows if nothing was trained by gradients.

        Raises:
            ValueError: A file is damaged.
        """
        found = {file.stem.removeprefix("progress_task"): file for file in self.steps.glob("progress_task*.csv")}
        files = [found[task] for task in sorted(filter(str.isdecimal, found), key=int)]
        tables = [self._read_step_log(file) for file in files if file.stat().st_size]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=LOGGED)

    def read_step_log(self, task: int) -> pd.DataFrame | None:
        """The step log of one task, without rows if nothing was trained by gradients; None if the file is missing.

        Raises:
            ValueError: The file is damaged.
        """
        file = self.steps / f"progress_task{task}.csv"
        if not file.exists():
            return None
        return self._read_step_log(file) if file.stat().st_size else pd.DataFrame(columns=LOGGED)

    def _read_step_log(self, file: Path) -> pd.DataFrame:
        with self._reading(file):
            table = pd.read_csv(file)
            return table.astype(dict.fromkeys(LOGGED, float))

    def _reading(self, file: Path) -> AbstractContextManager[None]:
        """Turn errors of reading a file into one line."""
        return reading(file, f"remove the folder {self.path}, and the same command runs it anew")


def run_paths(configs: Iterable[RunConfig], folder: Path) -> list[Path]:
    """The folders of runs, within a folder that may hold many.

    A folder has the name of its configuration. Other folders are found by the content of `config.json`: those that
    earlier versions named differently, and those of runs that learn the same and measure more. A finished run is
    preferred.

    Args:
        configs: The runs.
        folder: The parent of their folders.
    """
    begun: dict[str, list[_Begun]] | None = None
    paths = []
    for config in configs:
        path = folder / config.name
        if not RunFolder(path).finished:
            if begun is None:
                begun = _begun(folder, type(config))
            wanted = config.as_json()
            serve = [each.path for each in begun.get(_key(wanted), []) if measured(wanted) <= each.measured]
            finished = [each for each in serve if RunFolder(each).finished]
            path = next(iter(finished or ([] if path.exists() else serve)), path)
        paths.append(path)
    return paths


def run_path(config: RunConfig, folder: Path) -> Path:
    """The folder of one run, see `run_paths`."""
    return run_paths([config], folder)[0]


class _Begun(NamedTuple):
    path: Path
    measured: frozenset[str]


def _begun(folder: Path, kind: type[RunConfig]) -> dict[str, list[_Begun]]:
    """The folders of the runs that a folder holds, by what they learn."""
    found: dict[str, list[_Begun]] = {}
    for file in sorted(folder.glob("*/config.json")):
        with suppress(Exception):  # not a run of this kind
            entries = canonical(kind, read_json(file))
            found.setdefault(_key(entries), []).append(_Begun(file.parent, measured(entries)))
    return found


def _key(entries: dict[str, Any]) -> str:
    return json.dumps(what_is_learned(entries), sort_keys=True)


def _differences(there: dict[str, Any], here: dict[str, Any]) -> str:
    """A description of the entries in which two configurations differ; it may measure more there."""
    if measured(here) <= measured(there):
        there, here = what_is_learned(there), what_is_learned(here)
    names = dict.fromkeys([*here, *there])
    words = {name: (_shown(there, name), _shown(here, name)) for name in names}
    found = [f"{name} is {theirs} there and {ours} here" for name, (theirs, ours) in words.items() if theirs != ours]
    more = [f"and {len(found) - MOST_NAMED} entries more"] if len(found) > MOST_NAMED else []
    return ", ".join([*found[:MOST_NAMED], *more])


def _shown(entries: dict[str, Any], name: str) -> str:
    return json.dumps(entries[name], ensure_ascii=False) if name in entries else "absent"

"""Find the finished runs in some folders."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cls_env.command_line.errors import one_line
from experiments.config.identity import MEASURING, canonical
from experiments.config.settings import RunConfig
from experiments.files import read_json
from experiments.rl.config import AlgorithmRun
from experiments.rl.curve import read_curve
from experiments.runs.run_folder import RunFolder

_COMMAND = re.compile(r"Made by `(cls-env [^`\n]+)`")
CONFIG, TABLE = "config.json", "table.md"
"""Files that a run's and a comparison's folder hold."""
MOST_TABLE_BYTES = 2**24
"""A larger table is not searched for the command that made it."""
NOT_LEARNED = ("cache_features", "device_images", "tests_per_task", *MEASURING)
"""Entries of a configuration on which what is learned does not depend."""
_PARENTS = 2
"""Levels above a place at which the table of its comparison is looked for."""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: Its files.
        config: Its configuration, with the present names of settings.
        card: Its protocol card.
        metrics: Its measures by name.
        matrix: Accuracy on each task after each task, in [0, 1], shape (T, T); NaN above the diagonal.
    """

    folder: RunFolder
    config: dict[str, Any]
    card: dict[str, Any]
    metrics: dict[str, Any]
    matrix: NDArray[np.float64]

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.config["seed"])

    @property
    def of_rl(self) -> bool:
        """Whether it is a run of the comparison of RL algorithms."""
        return "algorithm" in self.config

    @property
    def origin(self) -> dict[str, str]:
        """What the card says of the images of a folder, of the pretrained weights, and of the device."""
        card: dict[str, Any] = self.card
        images = card.get("stream", {}).get("images_sha256", "") if self.config["dataset"] == "folder" else ""
        weights, hardware = card.get("weights") or {}, card.get("hardware") or {}
        return {
            "images_sha256": str(images),
            "weights_sha256": str(weights["sha256"]) if weights.get("pretrained") else "",
            "trained_on": str(hardware.get("device") or ""),
        }

    @property
    def class_names(self) -> list[str]:
        """The name of each label, in the order in which the classes are learned."""
        tasks = self.card["stream"]["tasks"]
        return list(dict.fromkeys(str(name) for task in tasks for name in task["classes"]))

    @cached_property
    def steps(self) -> pd.DataFrame:
        """The step logs of all tasks.

        Raises:
            ValueError: A file is damaged.
        """
        return self.folder.read_steps()

    @property
    def last_test(self) -> str:
        """The moment of the last predictions."""
        return f"after_task_{len(self.matrix) - 1}"


class LeftOut(NamedTuple):
    """A run that is not on the page, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Collection:
    """What was found.

    Attributes:
        runs: The finished runs, each configuration once.
        left_out: Runs that are unfinished, damaged or there twice.
    """

    runs: list[Run]
    left_out: list[LeftOut]


def run_folders(places: Iterable[Path]) -> list[Path]:
    """The folders below some places that hold a `config.json`, each once, in the order of their names.

    Raises:
        FileNotFoundError: A place does not exist.
        NotADirectoryError: It is a file.
    """
    found: dict[Path, Path] = {}
    for place in places:
        if not place.exists():
            raise FileNotFoundError(f"{place} does not exist: give the folder of a run or of a comparison")
        if not place.is_dir():
            raise NotADirectoryError(f"{place} is a file: give the folder of a run or of a comparison")
        for path, files in _walk(place):
            if CONFIG in files:
                found.setdefault(path.resolve(), path)
    return list(found.values())


def recorded_commands(places: Iterable[Path]) -> list[str]:
    """The commands that the tables of comparisons name, below some places or in the folders that hold these."""
    commands: dict[str, None] = {}
    for place in places:
        above = list(place.resolve().parents)[:_PARENTS]
        below = (path for path, files in _walk(place) if TABLE in files)
        for folder in (*below, *above):
            if (table := folder / TABLE).is_file() and table.stat().st_size <= MOST_TABLE_BYTES:
                commands |= dict.fromkeys(_COMMAND.findall(table.read_text(encoding="utf-8", errors="replace")))
    return list(commands)


def _walk(place: Path) -> Iterator[tuple[Path, list[str]]]:
    """The folders at and below a place with the names of their files; nothing below the folder of a run.

    Links to folders are followed, to each folder once.
    """
    seen: set[Path] = set()
    for folder, below, files in os.walk(place, followlinks=True):
        resolved = Path(folder).resolve()
        inside = [] if CONFIG in files or resolved in seen else [name for name in below if not name.startswith(".")]
        if resolved not in seen:
            yield Path(folder), files
        seen.add(resolved)
        below[:] = sorted(inside)


def collect(folders: Iterable[Path]) -> Collection:
    """Read the finished runs among some folders. A `config.json` that is not of a run is ignored.

    Args:
        folders: Of `run_folders`. Those that do not exist yet are ignored.
    """
    runs: dict[str, Run] = {}
    left_out = []
    for path in folders:
        try:
            run = _read(path)
        except (ValueError, KeyError, TypeError, OSError) as error:
            left_out.append(LeftOut(path, f"damaged: {one_line(error)}"))
            continue
        if isinstance(run, str):
            left_out.append(LeftOut(path, run))
        elif run is not None:
            learned = {name: value for name, value in run.config.items() if name not in NOT_LEARNED}
            first = runs.setdefault(json.dumps([learned, run.origin], sort_keys=True), run)
            if first is not run:
                left_out.append(LeftOut(path, f"the same run as {first.folder.path}"))
    return Collection(list(runs.values()), left_out)


def _content(file: Path) -> Any:
    try:
        return read_json(file)
    except ValueError as error:
        raise ValueError(f"{file.name}: {one_line(error)}") from error


def _read(path: Path) -> Run | str | None:
    """A finished run; a word on one that is not finished; None if the folder holds no run."""
    file = path / CONFIG
    if not file.exists():
        return None
    content = _content(file)
    if not (isinstance(content, dict) and {"dataset", "seed", "batch_size"} <= set(content)):
        return None
    folder = RunFolder(path)
    if not folder.finished:
        return "not finished"
    metrics, card, matrix = folder.metrics(), _content(path / "protocol.json"), folder.read_matrix()
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"accuracy_matrix.csv has {len(matrix)} rows and {matrix.shape[1]} columns of tasks")
    if not (np.isnan(matrix) | ((matrix >= 0) & (matrix <= 1))).all():
        raise ValueError("accuracy_matrix.csv has an accuracy that is not in [0, 1]")
    if len(tasks := card["stream"]["tasks"]) != len(matrix):
        raise ValueError(f"accuracy_matrix.csv has {len(matrix)} tasks, and protocol.json has {len(tasks)}")
    tasks[0]["classes"]
    int(content["seed"]), float(content.get("label_noise") or 0)
    kind = AlgorithmRun if "algorithm" in content else RunConfig
    if kind is AlgorithmRun:
        read_curve(folder)  # so that a run whose curve is damaged is left out, and named
    return Run(folder, canonical(kind, content), card, metrics, matrix)

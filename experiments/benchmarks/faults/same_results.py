"""Whether two folders hold the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from experiments.files import read_json
from experiments.runs.run_folder import RunFolder

MEASURED = {"seconds", "peak_memory_bytes", "images_per_second"}
"""Entries of the metrics that differ from run to run."""
TIMES = ["time/fps"]
"""Columns of the step log that do so."""


def differences(ours: Path, expected: Path) -> list[str]:
    """What differs between two finished runs, in words; empty if nothing does but times and memory.

    Metrics, the accuracy matrix, predictions and step logs are compared exactly, and the names of all files.
    """
    here, there = RunFolder(ours), RunFolder(expected)
    found = [f"file {name}" for name in sorted(_files(ours) ^ _files(expected))]
    if _measures(here) != _measures(there):
        found.append("metrics.json")
    if not np.array_equal(here.read_matrix(), there.read_matrix(), equal_nan=True):
        found.append("accuracy_matrix.csv")
    for file in sorted((expected / "predictions").glob("*.npz")):
        if here.has_predictions(file.stem) and not _same_arrays(
            here.read_predictions(file.stem), there.read_predictions(file.stem)
        ):
            found.append(f"predictions/{file.name}")
    if not here.read_steps().drop(columns=TIMES).equals(there.read_steps().drop(columns=TIMES)):
        found.append("steps")
    return found


def _files(folder: Path) -> set[str]:
    """Names of all files, temporary ones and locks included."""
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def _measures(folder: RunFolder) -> dict[str, Any]:
    return {name: value for name, value in read_json(folder.path / "metrics.json").items() if name not in MEASURED}


def _same_arrays(ours: dict[str, Any], expected: dict[str, Any]) -> bool:
    return set(ours) == set(expected) and all(
        np.array_equal(ours[name], array, equal_nan=array.dtype.kind == "f") for name, array in expected.items()
    )

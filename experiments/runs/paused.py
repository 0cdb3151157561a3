"""Runs that pause after some tasks, so that it can be decided which of them go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.files import read_json, reading, write_json
from experiments.runs.run_folder import RunFolder


def paused_file(folder: RunFolder, tasks: int) -> Path:
    """The file of the validation accuracies of a run that has paused after some tasks."""
    return folder.path / "paused" / f"after_{tasks}_tasks.json"


def write_pause(folder: RunFolder, tasks: int, accuracies: dict[str, float]) -> dict[str, float]:
    """Write the validation accuracies after some tasks, and return them."""
    write_json(paused_file(folder, tasks), accuracies)
    return accuracies


def read_pause(folder: RunFolder, tasks: int) -> dict[str, Any]:
    """The validation accuracies after some tasks.

    Raises:
        ValueError: The run has not paused there, or the file is damaged.
    """
    file = paused_file(folder, tasks)
    with reading(file, "remove this file, and the same command goes on to write it anew"):
        content: dict[str, Any] = read_json(file)
        content["validation_accuracy"] + 0.0
    return content

"""All hostile files, and what comes of reading each."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from experiments.benchmarks.hostile import agents, archives, images, results, weights
from experiments.benchmarks.hostile.case import HostileFile, Outcome, try_file
from experiments.benchmarks.hostile.valid_files import ValidFiles

HOSTILE_FILES: list[HostileFile] = [
    *archives.CASES,
    *images.CASES,
    *weights.CASES,
    *agents.CASES,
    *results.CASES,
]
"""Pickles, bombs, links out, lying headers, numbers that are none: for everything that the package reads."""


def try_hostile_files(folder: Path) -> list[Outcome]:
    """Make each hostile file in a folder of its own, and read it as the package does.

    Args:
        folder: An empty or new folder; the files are removed again.

    Returns:
        One outcome for each of `HOSTILE_FILES`.
    """
    with TemporaryDirectory(dir=_made(folder)) as good:
        valid_files = ValidFiles(Path(good))
        return [_tried(case, folder / str(number), valid_files) for number, case in enumerate(HOSTILE_FILES)]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _tried(case: HostileFile, folder: Path, valid_files: ValidFiles) -> Outcome:
    try:
        return try_file(case, folder, valid_files)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

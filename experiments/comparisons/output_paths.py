"""Folders of the results of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class OutputPaths:
    """Folders of a comparison's results.

    Attributes:
        tables: The folder of tables and figures.
        runs: The folder of the runs' folders; comparisons may share it.
        workers: Worker processes, see `run_all`; 0 for none.
    """

    tables: Path
    runs: Path
    workers: int | None = None

    @classmethod
    def of(cls, folder: Path, workers: int | None, runs: Path | None = None) -> OutputPaths:
        """Tables in a folder, and runs in another, or else within it."""
        return cls(tables=folder, runs=runs or folder / "runs", workers=workers)

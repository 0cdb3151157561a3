"""Folders of the results of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.config.comparison import CHECKPOINT_EVERY, ComparisonOptions


@dataclass(frozen=True, kw_only=True)
class OutputPaths:
    """Folders of a comparison's results.

    Attributes:
        tables: The folder of tables and figures.
        runs: The folder of the runs' folders; comparisons may share it.
        workers: Worker processes, see `run_all`; 0 for none.
        checkpoint_every: Minutes between two checkpoints of a run.
    """

    tables: Path
    runs: Path
    workers: int | None = None
    checkpoint_every: float = CHECKPOINT_EVERY

    @classmethod
    def of(cls, folder: Path, options: ComparisonOptions, runs: Path | None = None) -> OutputPaths:
        """Tables in a folder, and runs in that of the options, or in `runs`, or else within the folder."""
        return cls(
            tables=folder,
            runs=options.runs or runs or folder / "runs",
            workers=options.workers,
            checkpoint_every=options.checkpoint_every,
        )

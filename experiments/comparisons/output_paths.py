"""Folders of the results of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from experiments.config.comparison import CHECKPOINT_EVERY, ComparisonOptions
from experiments.execution.engines.choice import engine_of
from experiments.execution.engines.engine import Engine
from experiments.execution.engines.local import LocalEngine


@dataclass(frozen=True, kw_only=True)
class OutputPaths:
    """Folders of a comparison's results.

    Attributes:
        tables: The folder of tables and figures.
        runs: The folder of the runs' folders; comparisons may share it.
        engine: Executes the runs.
        store: URL at which the runs are kept in addition, see `experiments.execution.store`; by default none.
        checkpoint_every: Minutes between two checkpoints of a run.
    """

    tables: Path
    runs: Path
    engine: Engine = field(default_factory=LocalEngine)
    store: str | None = None
    checkpoint_every: float = CHECKPOINT_EVERY

    @classmethod
    def of(cls, folder: Path, options: ComparisonOptions, runs: Path | None = None) -> OutputPaths:
        """Tables in a folder, and runs in that of the options, or in `runs`, or else within the folder."""
        return cls(
            tables=folder,
            runs=options.runs or runs or folder / "runs",
            engine=engine_of(options),
            store=options.store,
            checkpoint_every=options.checkpoint_every,
        )

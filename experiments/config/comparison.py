"""Options of all comparisons. They do not change the results of the runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.config.gpus import GpuName

CHECKPOINT_EVERY = 5.0
"""Minutes between two checkpoints within a task."""


@dataclass(frozen=True, kw_only=True)
class ComparisonOptions:
    """How the runs of a comparison are executed and shown."""

    runs: Path | None = None
    """Folder of the runs, in which finished runs are reused. By default the folder runs in --out."""
    workers: int | None = None
    """Number of parallel runs. By default one per core; on a GPU it is measured. 0 uses this process."""
    dry_run: bool = False
    """Show what would run, and how long it takes. Only decoded images are written, to the cache."""
    gpu: GpuName | None = None
    """GPU for which --dry-run estimates hours, in addition to those measured here. By default h100."""
    report_every: float | None = None
    """Minutes between reports while runs go on. By default, report.html is written at the end alone."""
    checkpoint_every: float = CHECKPOINT_EVERY
    """Minutes between two checkpoints of a run, at least 0. A run that is stopped goes on from the last one."""
    measures: tuple[str, ...] = ()
    """Columns of the table, such as final_accuracy nll. CSV files have all measures."""


DEFAULTS = ComparisonOptions()
"""Default of the parameter `execution` of the commands."""

"""What every comparison can be told about its runs as a whole. The results of its runs do not depend on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.config.gpus import GpuName


@dataclass(frozen=True, kw_only=True)
class ComparisonOptions:
    """How the runs of a comparison are executed and shown."""

    runs: Path | None = None
    """The folder of the runs, in which finished ones are reused; by default the folder runs within --out."""
    workers: int | None = None
    """Runs at once; by default as many as fit the cores; on a GPU the fastest number is measured. 0 runs all in this
    process."""
    dry_run: bool = False
    """Show what would run, and how long it takes. Local images are decoded into the cache; nothing else is written."""
    gpu: GpuName | None = None
    """The GPU for which --dry-run estimates hours, in addition to those that it measures here; by default h100."""
    measures: tuple[str, ...] = ()
    """Columns of the table, such as final_accuracy nll; CSV files have all measures."""


DEFAULTS = ComparisonOptions()
"""Of the parameter `execution` of commands. It comes before their settings, so that their help begins with it."""

"""Options of all comparisons. They do not change the results of the runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cls_env.arguments import number, whole_number
from experiments.config.gpus import GpuName

CHECKPOINT_EVERY = 5.0
"""Minutes between two checkpoints within a task."""


@dataclass(frozen=True, kw_only=True)
class ComparisonOptions:
    """How the runs of a comparison are executed and shown."""

    runs: Path | None = None
    """Folder of the runs, in which finished runs are reused. By default the folder runs in --out."""
    store: str | None = None
    """Also keep the runs on any file system that fsspec knows, such as s3://bucket/runs, and take them from there: runs
    then need no folder that all machines share."""
    workers: int | None = None
    """Number of parallel runs. By default one per core, on a GPU a measured number, and on a cluster all that fit. 0
    uses this process."""
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
    engine: Literal["local", "ray", "slurm"] = "local"
    """Where the runs are executed: local (processes of this machine), ray (a Ray cluster), or slurm (jobs of Slurm)."""
    address: str | None = None
    """With --engine ray: address of a running cluster; auto finds it. By default Ray is started on this machine."""
    gpus_per_run: float | None = None
    """With --engine ray or slurm: GPUs of a run. With ray, 0.25 lets four runs share one. By default 1 with --device
    cuda, and with ray also if the cluster has GPUs."""
    slurm: tuple[str, ...] = ()
    """With --engine slurm: parameters of submitit's jobs, such as: --slurm timeout_min=240 slurm_partition=gpu. With
    cluster=local the jobs are processes of this machine."""

    def __post_init__(self) -> None:
        if self.store is not None and not self.store.strip():
            raise ValueError("--store is empty: give a URL, such as s3://bucket/runs")
        if self.workers is not None:
            whole_number("--workers", self.workers, least=0)
        if self.gpus_per_run is not None:
            number("--gpus-per-run", self.gpus_per_run, "[0, inf)")
        for option, given, engines in (
            ("--address", self.address is not None, ("ray",)),
            ("--gpus-per-run", self.gpus_per_run is not None, ("ray", "slurm")),
            ("--slurm", bool(self.slurm), ("slurm",)),
        ):
            if given and self.engine not in engines:
                raise ValueError(f"{option} has no effect with --engine {self.engine}: it needs {' or '.join(engines)}")
        if self.engine != "local" and self.workers == 0:
            raise ValueError(f"--workers 0 runs in this process: drop it, or --engine {self.engine}")
        if self.engine == "slurm" and self.gpus_per_run is not None and self.gpus_per_run % 1:
            raise ValueError("--gpus-per-run must be a whole number with --engine slurm")


DEFAULTS = ComparisonOptions()
"""Default of the parameter `execution` of the commands."""

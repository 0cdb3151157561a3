"""What the benchmark of engines tries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cls_env.arguments import whole_number


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Try the engines: a Ray cluster that loses a node, jobs that are queued again, and the overhead of a run.

    The exit code is 1 if a run was lost, done twice, or ended with other results. --debug, anywhere on the line, shows
    the traceback of an error.
    """

    runs: int = 40
    """Small runs on a cluster of two nodes, at least 4."""
    parts: tuple[Literal["ray", "slurm", "overhead"], ...] = ("ray", "slurm", "overhead")
    """ray (one of two nodes is lost), slurm (a job is queued again, with submitit's local executor), overhead (of a run
    that does nothing)."""
    json: Path | None = None
    """Write the rows here."""

    def __post_init__(self) -> None:
        whole_number("runs", self.runs, least=4)
        if not self.parts:
            raise ValueError("parts must name at least one")

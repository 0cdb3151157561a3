"""Checks of a run that several processes are to execute."""

from __future__ import annotations

import torch

from agents.parallel.processes import Processes
from experiments.config.validation import CheckedRun


def check_processes(run: CheckedRun, processes: Processes, dry_run: bool = False) -> None:
    """Check that processes can train an agent together; nothing for one process.

    Args:
        run: The run.
        processes: The processes.
        dry_run: Whether the run is only planned.

    Raises:
        ValueError: They can't.
    """
    if not processes.several:
        return
    config, count = run.config, processes.count
    if dry_run:
        raise ValueError("--dry-run is for one process: run it without torchrun")
    if not run.method.learns_by_gradient:
        raise ValueError(f"{config.method} learns without gradients, so {count} processes gain nothing: start one")
    if config.batch_size < count:
        raise ValueError(f"--batch-size {config.batch_size} can't be divided among {count} processes: start fewer")
    if config.device == "mps":
        raise ValueError(f"--device mps is one GPU: start one process, not {count}")
    found = torch.cuda.device_count() if config.device != "cpu" else 0
    if found and processes.local_rank >= found:
        raise ValueError(
            f"there are more processes on this machine than its {found} GPUs: start as many as there are GPUs, or give "
            "--device cpu"
        )

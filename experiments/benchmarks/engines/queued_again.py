"""Jobs of submitit on this machine, of which one is preempted."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from submitit.core.job_environment import JobEnvironment

from experiments.benchmarks.engines.sweeps import Outcome, execute
from experiments.config.entry import Entry
from experiments.execution.engines.slurm_engine import SlurmEngine
from experiments.files import read_json

PATIENCE = 0.1


def execute_with_preemption(entries: list[Entry], folder: Path, expected: Path) -> Outcome:
    """Execute runs as jobs, and preempt the first of which a checkpoint is there.

    Args:
        entries: The runs.
        folder: Holds their folders.
        expected: The folder of the same runs with the local engine.
    """
    over = threading.Event()

    def preempt() -> None:
        while not over.wait(PATIENCE):
            for owner in (file.parent / ".owner" for file in folder.glob("*/training")):
                if owner.exists() and (process := _process_of(owner)):
                    os.kill(process, JobEnvironment._usr_sig())
                    return

    thread = threading.Thread(target=preempt)
    thread.start()
    try:
        return execute(entries, folder, SlurmEngine({"cluster": "local"}), expected)
    finally:
        over.set()
        thread.join()


def _process_of(owner: Path) -> int | None:
    """The process that owns a run's folder; None if it has ended."""
    try:
        return int(read_json(owner)["pid"])
    except (OSError, ValueError, KeyError):
        return None

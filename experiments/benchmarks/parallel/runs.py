"""The runs that are compared, in one process or in several: `python -m experiments.benchmarks.parallel.runs`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.parallel.processes import joined, launched
from experiments.config.settings import RunConfig
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run
from experiments.studies.methods import module_of

SETTINGS: dict[str, Any] = {
    "dataset": "glyphs",
    "num_tasks": 3,
    "options": ("num_classes=6", "test_per_class=20"),
    "max_per_class": 20,
    "batch_size": 15,  # which 2 and 4 do not divide
    "device": "cpu",
    "threads": 1,
    "augment": "yes",
}


def configuration(method: str, **changes: Any) -> RunConfig:
    """A run of three tasks of two classes of glyphs each.

    Args:
        method: The method, with its own PEFT module or LoRA.
        **changes: Further settings.
    """
    peft = module_of(method.partition(":")[0], "lora")
    return RunConfig(**(SETTINGS | {"method": method, "peft": peft} | changes))


def execute(runs: Sequence[dict[str, Any]], folder: Path, processes: int) -> None:
    """Execute runs one after another, in new processes.

    Args:
        runs: Arguments of `configuration`. A run has the folder of its position.
        folder: Parent of the runs' folders.
        processes: How many processes train each.

    Raises:
        RuntimeError: They failed; the message holds what they printed.
    """
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    command = [sys.executable, "-m", *(launcher if processes > 1 else []), __spec__.name, str(folder)]
    done = subprocess.run([*command, json.dumps(list(runs))], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{processes} processes ended with {done.returncode}: {done.stderr}")


def main() -> None:
    """Execute runs in this process, together with those that a launcher has started with it."""
    folder, runs = Path(sys.argv[1]), json.loads(sys.argv[2])
    with joined(launched()):
        for position, arguments in enumerate(runs):
            run(configuration(**arguments), RunFolder(folder / str(position)))


if __name__ == "__main__":
    main()

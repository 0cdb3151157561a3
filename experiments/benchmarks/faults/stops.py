"""Runs that are stopped at random moments, and taken up again until they are finished."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cls_env.command_line.processes import end_with
from experiments.benchmarks.faults.same_results import differences
from experiments.config.resolved import resolve
from experiments.config.settings import RunConfig
from experiments.execution.workers import worker_context
from experiments.runs.run_folder import RunFolder

METHODS = {
    "sequential": {},
    "lae:decay=0.99,reference_batch=4": {},
    "inflora": {},
    "dualprompt": {"peft": "none"},
    "der++:size=40,batch=4": {},
}
"""Methods of the runs, with their PEFT module where it is not the usual one."""
SETTINGS = {"dataset": "digits", "num_tasks": 3, "epochs": 6, "max_per_class": 8, "batch_size": 4, "device": "cpu"}
DISK = 8 * 2**20
"""Bytes of the small disk that is filled up."""
CHECKPOINT_EVERY = 0.005
"""In minutes, since the runs are short."""
MOST_STOPS = 3
LONGEST_DELAY = 0.5
"""Seconds after a drawn number of images until a second or third stop, which so may come in tests and in writing."""


class Counter(Protocol):
    """A number that two processes share."""

    value: int


@dataclass(frozen=True)
class Outcome:
    """A run that was stopped.

    Attributes:
        method: The method.
        faults: What stopped it, in order.
        differs: In what it differs from an undisturbed run; empty if in nothing.
        left: Files, locks or processes that it left behind.
    """

    method: str
    faults: tuple[str, ...]
    differs: tuple[str, ...]
    left: tuple[str, ...]


def configuration(method: str, seed: int) -> RunConfig:
    """A small run."""
    return replace(RunConfig(**SETTINGS), method=method, seed=seed, **METHODS[method])  # type: ignore[arg-type]


def execute_here(parent: int, config: RunConfig, path: Path, log: Path, images: Counter) -> None:
    """Execute a run, as the work of a process; what it prints goes to a file.

    Args:
        parent: Process id of the process with which this one ends.
        config: Of the run.
        path: Of its folder.
        log: The file.
        images: Counts the images that the run has learned from.
    """
    end_with(parent)
    with log.open("a") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    from experiments.runs.runner import run

    def count(learned: int) -> None:
        images.value += learned

    run(config, RunFolder(path), count, CHECKPOINT_EVERY)


def started(config: RunConfig, path: Path) -> tuple[BaseProcess, Counter]:
    """A process that executes a run, and the number of images that it has learned from."""
    context: Any = worker_context()
    images = context.Value("l", 0, lock=False)
    arguments = (os.getpid(), config, path, path.with_suffix(".log"), images)
    process: BaseProcess = context.Process(target=execute_here, args=arguments)
    process.start()
    return process, images


def _kill(number: int) -> Callable[[BaseProcess, Path], None]:
    def send(process: BaseProcess, folder: Path) -> None:
        with suppress(ProcessLookupError):
            os.kill(process.pid or 0, number)

    return send


def _take_memory(process: BaseProcess, folder: Path) -> None:
    """Forbid a process to take more memory than it has."""
    with suppress(ProcessLookupError, OSError):
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[0])
        bytes_now = pages * resource.getpagesize()
        resource.prlimit(process.pid or 0, resource.RLIMIT_AS, (bytes_now, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _fill_disk(process: BaseProcess, folder: Path) -> None:
    """Fill the disk of a folder."""
    with suppress(OSError), (folder.parent / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


FAULTS: dict[str, Callable[[BaseProcess, Path], None]] = {
    "SIGKILL": _kill(signal.SIGKILL),
    "SIGTERM": _kill(signal.SIGTERM),
    "SIGINT": _kill(signal.SIGINT),
    "full disk": _fill_disk,
    "memory limit": _take_memory,
}


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small disk in memory at a folder, where that is allowed.

    Yields:
        Whether it is mounted.
    """
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    mounted = shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def stopped_run(folder: Path, reference: Path, method: str, seed: int, random: np.random.Generator) -> Outcome:
    """Start a run, stop it one to three times at random moments, let it finish, and compare it.

    Args:
        folder: An empty folder to work in.
        reference: The undisturbed run.
        method: In `METHODS`.
        seed: Of the run.
        random: Draws faults and moments.
    """
    config = configuration(method, seed)
    faults: list[str] = []
    total = images_of(config)
    with small_disk(folder) as mounted:
        path, learned = folder / "run", 0
        kinds = [name for name in FAULTS if mounted or name != "full disk"]
        for _ in range(random.integers(1, MOST_STOPS + 1)):
            fault = str(random.choice(kinds))
            process, images = started(config, path)
            learned += int(random.uniform() * (total - learned))
            while process.is_alive() and images.value < learned:
                time.sleep(0.001)
            process.join(random.uniform(0, LONGEST_DELAY) if faults else 0)
            if process.is_alive():
                FAULTS[fault](process, path)
                faults.append(fault)
            process.join()
            (folder / "filler").unlink(missing_ok=True)
        process, _ = started(config, path)
        process.join()
        finished = RunFolder(path).finished
        differs = differences(path, reference) if finished else [f"not finished, exit code {process.exitcode}"]
        left = [file.name for file in path.rglob(".*")]
        return Outcome(method, tuple(faults), tuple(differs), tuple(left))


def stopped_runs(count: int, folder: Path, seed: int = 0) -> Iterator[Outcome]:
    """Runs that are stopped, of each method in turn.

    Args:
        count: Number of runs.
        folder: To work in.
        seed: Of faults and moments.
    """
    references: dict[str, Path] = {}
    for method in METHODS:
        path = references[method] = folder / "undisturbed" / method.partition(":")[0].replace("+", "p")
        path.parent.mkdir(parents=True, exist_ok=True)
        started(configuration(method, 0), path)[0].join()
    random = np.random.default_rng(seed)
    for index in range(count):
        method = list(METHODS)[index % len(METHODS)]
        yield stopped_run(folder / f"run{index}", references[method], method, 0, random)


def images_of(config: RunConfig) -> int:
    """The number of images that a run learns from, in all epochs."""
    return sum(resolve(config).images_per_task)

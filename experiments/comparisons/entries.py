"""Many runs, in parallel over the cores, that differ in one thing at a time and share their seeds."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import torch

from cls_env.command_line.errors import described, one_line
from experiments.config.builders import check, make_agent, make_stream, task_images
from experiments.config.settings import RunConfig, Settings, shared_settings
from experiments.console import progress_bar
from experiments.execution.workers import begin_worker, worker_context
from experiments.runs.errors import RunFailedError
from experiments.runs.run_folder import RunFolder, places_of
from experiments.runs.runner import Listener, run

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from multiprocessing.queues import Queue

SECONDS_BETWEEN_LOOKS = 0.2
IMAGES_AT_ONCE = 500
"""How many images a run lets go by between two reports."""


@dataclass(frozen=True, kw_only=True)
class CompareConfig(Settings):
    """Objectives x label noise x seeds: the main job."""

    objectives: tuple[str, ...] = ("ce", "epg", "aepg")
    """Contenders; the first is the baseline of the paired differences."""
    label_noise: tuple[float, ...] = (0.0, 0.2)
    """Shares of flipped training labels."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Every contender runs on each of them."""


@dataclass(frozen=True, kw_only=True)
class BoundsConfig(Settings):
    """Between which bounds a sequential learner lies: frozen random backbone, joint training.

    Labels are clean. A_T weighs tasks equally, and joint training is one task: on sets whose tasks differ much in
    size, its figure is the accuracy over images, which the table then has of all three.
    """

    objective: str = "aepg"
    """The objective of all three."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Every contender runs on each of them."""


class Job(NamedTuple):
    """What is done with a configuration; functions that a process of its own can import.

    Attributes:
        run: Carries one out in a folder, telling how many images go by.
        images: How many images that will be.
        refuse: Sees that all entries are possible, before any work.
    """

    run: Callable[[Any, RunFolder, Listener], Any]
    images: Callable[[Any], int]
    refuse: Callable[[Sequence[Entry]], None]


@dataclass(frozen=True)
class Entry:
    """A run and its place in the comparison's table."""

    condition: str
    contender: str
    config: RunConfig


def objective_entries(config: CompareConfig) -> list[Entry]:
    """The runs of the main job."""
    return [
        Entry(
            "label noise by matrix" if config.noise_matrix else f"{100 * noise:g}% label noise",
            objective,
            RunConfig(objective=objective, label_noise=noise, seed=seed, **shared_settings(config)),
        )
        for seed in config.seeds
        for noise in ((0.0,) if config.noise_matrix else config.label_noise)
        for objective in config.objectives
    ]


def bounds_entries(config: BoundsConfig) -> list[Entry]:
    """The same learner from task to task, on all classes at once, and on random frozen features."""
    if config.scenario != "class-incremental" or config.noise_matrix is not None or config.num_tasks == 1:
        raise ValueError("bounds are those of class-incremental learning of several tasks with clean labels")
    contenders: Mapping[str, dict[str, Any]] = {
        "sequential": {},
        "joint": {"num_tasks": 1, "init_classes": None, "increment": None},
        "frozen random": {"pretrained": False, "weights": None, "peft": "none"},
    }
    shared = shared_settings(config)
    return [
        Entry("clean labels", name, RunConfig(objective=config.objective, seed=seed, **(shared | changes)))
        for seed in config.seeds
        for name, changes in contenders.items()
    ]


def run_all(entries: Sequence[Entry], folder: Path, workers: int | None = None, job: Job | None = None) -> pd.DataFrame:
    """Carry out the runs that are not finished yet, and tabulate all.

    Args:
        entries: The runs.
        folder: Holds a folder for each run, under its name; several comparisons may share it.
        workers: Runs at once; by default as many as fit the cores, and one on a GPU.
        job: What is run; by default `LEARNING`, an objective on a stream.

    Returns:
        A row for each run: condition, contender, seed, the measures of `metrics.json`, and the run's folder.

    Raises:
        ValueError: A configuration is impossible; nothing has been run.
        RunFailedError: A run failed; the finished ones are kept, and the same command goes on from there.
    """
    check_workers(workers)
    check_different(entries)
    job = job or LEARNING
    job.refuse(entries)
    total = sum(job.images(entry.config) for entry in entries)
    count = workers or _fitting_workers(entries[0].config)
    places = places_of([entry.config for entry in entries], folder)
    context = worker_context()
    images: Queue[int] = context.Queue()
    over = Event()
    with progress_bar() as progress:
        bar = progress.add_task(f"{len(entries)} runs", total=total)

        def show() -> None:
            while not over.is_set():
                with suppress(Empty):
                    progress.advance(bar, images.get(timeout=SECONDS_BETWEEN_LOOKS))

        def tell(done: int) -> None:
            progress.update(bar, description=f"{done} of {len(entries)} runs")

        Thread(target=show, daemon=True).start()
        others = set(multiprocessing.active_children())
        try:
            with ProcessPoolExecutor(
                min(count, len(entries)), context, _begin_worker, (os.getpid(), dict(os.environ), images)
            ) as pool:
                futures = {
                    pool.submit(_work, job.run, entry.config, place): entry
                    for entry, place in zip(entries, places, strict=True)
                }
                _follow(futures, pool, tell, others)
        finally:
            over.set()
        progress.update(bar, completed=total)
    return pd.DataFrame([_row(entry, place) for entry, place in zip(entries, places, strict=True)])


def check_workers(workers: int | None) -> None:
    """Check a number of runs at once.

    Raises:
        ValueError: It is below 1.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"--workers must be at least 1, not {workers}")


def check_different(entries: Sequence[Entry]) -> None:
    """Check that no two runs are equal.

    Raises:
        ValueError: Two are.
    """
    names = [entry.config.name for entry in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{sorted(twice)[0]} is named twice; name each objective, label noise and seed once")


def _follow(
    futures: Mapping[Future[None], Entry],
    pool: ProcessPoolExecutor,
    on_done: Callable[[int], object],
    others: Set[BaseProcess],
) -> None:
    """Wait for all runs, and stop at the first that fails; at Ctrl-C end the workers, and no others of the children."""
    try:
        for done, future in enumerate(as_completed(futures), start=1):
            _raise_failure(future, futures[future], pool)
            on_done(done)
    except KeyboardInterrupt:
        for worker in set(multiprocessing.active_children()) - others:  # else the pool waits for their runs
            worker.terminate()
        raise


def _row(entry: Entry, place: Path) -> dict[str, Any]:
    place_in_table = {"condition": entry.condition, "contender": entry.contender, "seed": entry.config.seed}
    return place_in_table | RunFolder(place).metrics() | {"folder": str(place)}


def _fitting_workers(config: Settings) -> int:
    """Runs that fit the cores, or one on a GPU."""
    on_gpu = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    return 1 if on_gpu else max(1, (os.cpu_count() or 1) // config.threads)


def _dry_build(entries: Sequence[Entry]) -> None:
    """Build each kind of agent once, so that what is impossible is refused before any work."""
    for entry in entries:
        check(entry.config)
    for config in kinds(entries).values():
        make_agent(config, make_stream(config))


def kinds(entries: Sequence[Entry]) -> dict[RunConfig, RunConfig]:
    """One configuration of those that differ in seed, label noise and learning rate alone."""
    return {replace(entry.config, seed=0, label_noise=0.0, learning_rate=1.0): entry.config for entry in entries}


def _images(config: RunConfig) -> int:
    stream = make_stream(config)
    return sum(task_images(config, stream, task.index) for task in stream.tasks)


def _begin_worker(parent: int, environment: Mapping[str, str], images: Queue[int]) -> None:
    """Prepare a process for runs, which reports how many images went by."""
    begin_worker(parent, environment)
    _reports.append(images)


_reports: list[Queue[int]] = []
"""In a worker, where it reports: queues can be handed over to a process when it starts, and not later."""


def _work(run_one: Callable[[Any, RunFolder, Listener], Any], config: RunConfig, place: Path) -> None:
    """In a process of its own: one run, telling how many images went by, a few hundred at a time."""
    waiting = 0

    def report(count: int) -> None:
        nonlocal waiting
        waiting += count
        if waiting >= IMAGES_AT_ONCE:
            _reports[0].put(waiting)
            waiting = 0

    try:
        run_one(config, RunFolder(place), report)
    except Exception as error:  # in words, since not every error can be handed over to another process
        raise RunFailedError(described(error)) from error
    _reports[0].put(waiting)


def _raise_failure(future: Future[None], entry: Entry, pool: ProcessPoolExecutor) -> None:
    error = future.exception()
    if error is None:
        return
    pool.shutdown(wait=False, cancel_futures=True)
    if isinstance(error, BrokenProcessPool):
        raise RunFailedError(
            "a worker process was killed, possibly because memory ran out. Finished runs are kept. Run the same "
            "command again with fewer --workers"
        ) from error
    raise RunFailedError(f"the run {entry.config.name} failed: {one_line(error)}") from error


LEARNING = Job(run, _images, _dry_build)

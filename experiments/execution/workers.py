"""Worker processes, each of which executes one run at a time."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cls_env.command_line.errors import described
from cls_env.command_line.processes import end_with
from cls_env.command_line.signals import ENDING, stop_by
from experiments.runs.errors import RunFailedError
from experiments.runs.interruptions import SAVE
from experiments.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    from experiments.runs.runner import Listener

PRELOADED = ["experiments.runs.runner"]
IMAGES_PER_REPORT = 500
"""A run reports its progress each time it has processed this many images."""


class Report(NamedTuple):
    """A report of a worker: its process id, and how many images it has processed since the last one."""

    worker: int
    images: int


_reports: list[Queue[Report]] = []
"""In a worker: where it reports. A queue can be given to a process only when it starts."""


def worker_context() -> BaseContext:
    """A context that forks workers from a server process that has imported the runner; on Windows it spawns them.

    Importing PyTorch and peft takes several seconds, which each worker would spend again. The server has computed
    nothing and used no GPU, so a worker starts in the same state as a new process.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def begin_worker(parent: int, environment: Mapping[str, str], reports: Queue[Report]) -> None:
    """Prepare a worker. It ends with its parent, which sends it SIGTERM at Ctrl-C too.

    Args:
        parent: Process id.
        environment: The parent's variables, which may have changed since the server started.
        reports: Receives the worker's reports.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in ENDING:
        signal.signal(number, _end)
    if hasattr(signal, SAVE):
        signal.signal(getattr(signal, SAVE), signal.SIG_IGN)
    end_with(parent)
    os.environ.clear()
    os.environ.update(environment)
    _reports.append(reports)
    gc.freeze()  # the imported modules are never freed, and the garbage collector takes a third of a second for them


def _end(number: int, frame: Any) -> None:
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)  # the parent sends one too, and must not disturb the end
    stop_by(number)


def work(run: Callable[[Any, RunFolder, Listener], Any], config: Any, path: Path) -> None:
    """Execute one run in a worker, and report its images to the parent."""
    try:
        execute(run, config, path, lambda count: _reports[0].put(Report(os.getpid(), count)))
    except SystemExit as stop:  # by SIGTERM; the pool would go on with the next run
        os._exit(int(stop.code or 0))


def execute(run: Callable[[Any, RunFolder, Listener], Any], config: Any, path: Path, on_images: Listener) -> None:
    """Execute one run, and report its images a few hundred at a time.

    Args:
        run: The function of a `Job`.
        config: Its configuration.
        path: The folder of the run.
        on_images: Receives numbers of processed images.

    Raises:
        RunFailedError: The run raised an error; the message describes it. Not every error can be pickled.
    """
    waiting = 0

    def report(count: int) -> None:
        nonlocal waiting
        waiting += count
        if waiting >= IMAGES_PER_REPORT:
            on_images(waiting)
            waiting = 0

    try:
        run(config, RunFolder(path), report)
    except Exception as error:
        raise RunFailedError(described(error)) from error
    on_images(waiting)

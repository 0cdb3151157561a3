"""The report that a comparison writes by itself: at its end, and if asked for, while its runs go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path

from cls_env.arguments import number
from cls_env.command_line.errors import ReportedError, one_line
from cls_env.command_line.processes import end_with
from experiments.comparisons.output_paths import OutputPaths
from experiments.config.entry import Entry
from experiments.console import say, typed_command, warn
from experiments.execution.workers import worker_context
from experiments.runs.interruptions import GRACE
from experiments.runs.run_folder import run_paths

PAGE = "report.html"
"""File name of the report in the folder of a comparison."""


@contextmanager
def reporting(entries: Sequence[Entry], paths: OutputPaths, minutes: float | None = None) -> Iterator[None]:
    """Write the report of a comparison when the block ends, also after a run that failed, and name it.

    After Ctrl-C or a signal to end, it is not written.

    Args:
        entries: The runs of the comparison.
        paths: Where its results are; the report goes to the folder of the tables.
        minutes: Time after which the report is written again and again within the block, by a process of its own; None
            to write it at the end alone.

    Raises:
        ValueError: `minutes` is not above 0; nothing has been run.
    """
    out, command, stopped = paths.tables / PAGE, typed_command(), False
    if minutes is not None:
        number("--report-every", minutes, "(0, inf)")
    configs = [entry.config for entry in entries]
    try:
        with nullcontext() if minutes is None else _rewriting(run_paths(configs, paths.runs), out, minutes, command):
            yield
    except (KeyboardInterrupt, SystemExit):
        stopped = True
        raise
    finally:
        if not stopped and _write(run_paths(configs, paths.runs), out, command):
            say(f"report {out}")


@contextmanager
def _rewriting(folders: Sequence[Path], out: Path, minutes: float, command: str) -> Iterator[None]:
    context = worker_context()
    over, ours = context.Pipe(duplex=False)
    arguments = (os.getpid(), over, folders, out, minutes, command)
    process = context.Process(target=rewrite, args=arguments, daemon=True)  # type: ignore[attr-defined]
    process.start()
    try:
        yield
    finally:
        ours.close()
        over.close()
        process.join(GRACE)
        if process.is_alive():
            process.kill()


def rewrite(parent: int, over: Connection, folders: Sequence[Path], out: Path, minutes: float, command: str) -> None:
    """Write the report again and again, as the work of a process.

    Args:
        parent: Id of the process with which this one ends.
        over: Its other end is closed when this process shall end.
        folders: Folders of the runs; those that are not finished are named on the page.
        out: File of the page.
        minutes: Time between two reports.
        command: What made the runs.
    """
    end_with(parent)
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)  # the parent, which gets them too, closes the pipe
    while not over.poll(60 * minutes):
        _write(folders, out, command)


def _write(folders: Sequence[Path], out: Path, command: str) -> bool:
    """Write the page, and say whether it was written. The comparison does not fail if it can't be."""
    from experiments.report_page.page import write_page

    try:
        write_page(folders, out, [command])
    except ReportedError:  # no run is finished yet
        return False
    except Exception as error:  # the results of a comparison do not depend on its report
        warn(f"{out} could not be written: {one_line(error)}")
        return False
    return True

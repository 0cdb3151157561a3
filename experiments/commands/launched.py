"""A command that torchrun or `accelerate launch` has started in several processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

TOGETHER = ("run",)
"""The commands that several processes can execute together."""
WAIT_AT_STOP = 3.0
"""Seconds for which a stopped process waits before it ends: the launcher would interrupt the first one at its end."""
WAIT_AT_ERROR = 30.0
"""Seconds for which a process with an error waits for the launcher to end it. If the first one has the error too, even
later on a busy machine, it is said only once."""


@contextmanager
def processes_of(command: str) -> Iterator[None]:
    """A context in which the processes of a launcher execute a command together; one process alone is not changed.

    The first process prints; of the others, only an error that the first does not have is shown.

    Args:
        command: Name of the command.

    Raises:
        ValueError: The command is for one process.
    """
    if os.environ.get("WORLD_SIZE", "1") in ("", "1"):  # `agents` is not imported for one process
        yield
        return
    from agents.parallel.processes import joined, launched

    processes = launched()
    with nullcontext() if processes.leads else _quiet(processes.rank):
        if processes.several and command not in TOGETHER:
            raise ValueError(f"{command} is for one process: start it without torchrun; {TOGETHER[0]} can use several")
        with joined(processes):
            yield


@contextmanager
def _quiet(rank: int) -> Iterator[None]:
    """Let the process of a rank print nothing but an error of its own."""
    streams = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - open to the end of the process
    try:
        yield
    except BaseException as error:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the launcher ends the process when the first one has ended
        time.sleep(WAIT_AT_ERROR if isinstance(error, Exception) else WAIT_AT_STOP)
        if isinstance(error, Exception):
            sys.stdout, sys.stderr = streams
            print(f"in process {rank}:", end=" ", file=sys.stderr)
        raise
    sys.stdout, sys.stderr = streams

"""How a command ends by a signal."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 128 + signal.SIGTERM
"""The exit code after SIGTERM, as a shell gives it."""


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Within a `with` block, SIGTERM ends the process as Ctrl-C does, with exit code 143, and SIGUSR1 is ignored.

    Files are closed, locks are released, and child processes end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, _end)}
    if hasattr(signal, "SIGUSR1"):
        before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        yield
    except SystemExit as stop:
        if stop.code == TERMINATED:
            print("ended by SIGTERM; if the command saves its progress, running it again resumes it", file=sys.stderr)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a further one must not disturb the end
    raise SystemExit(TERMINATED)

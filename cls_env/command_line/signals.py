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
    """Meanwhile let SIGTERM end the process in good order, with exit code 143; SIGUSR1 is ignored.

    Files are closed, and locks and child processes end, as at Ctrl-C.
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

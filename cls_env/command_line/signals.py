"""How a command ends by a signal."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = {number: name for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None}
"""Signals that end a command, by number: SIGTERM, and SIGHUP when its terminal is closed."""
_received: list[int] | None = None
"""The signals by which the present command ends; None if there is no command."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within a `with` block, SIGTERM and SIGHUP end the process as Ctrl-C does, with exit codes 143 and 129.

    Files are closed, locks are released, and child processes end. Further signals meanwhile are ignored. SIGUSR1 is
    ignored. Signals that the process ignored before, as under `nohup`, stay so.
    """
    global _received
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _received = []
    wanted: dict[int, Any] = dict.fromkeys(ENDING, _end) | {signal.SIGINT: _end}
    if hasattr(signal, "SIGUSR1"):
        wanted[signal.SIGUSR1] = signal.SIG_IGN
    before = {number: signal.getsignal(number) for number in wanted}
    for number, handler in wanted.items():
        if before[number] != signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.code, int) and (name := ENDING.get(stop.code - 128)):
            print(f"ended by {name}; if the command saves its progress, running it again resumes it", file=sys.stderr)
        raise
    finally:
        _received = None
        for number, handler in before.items():
            signal.signal(number, handler)


def raise_stop() -> None:
    """Raise the error of the signal that was received, if one was. Libraries turn such errors into others.

    Raises:
        KeyboardInterrupt: After SIGINT.
        SystemExit: After another signal.
    """
    if _received:
        _raise(_received[0])


def stop_by(number: int) -> None:
    """Raise the error by which a signal ends a process.

    Raises:
        KeyboardInterrupt: For SIGINT.
        SystemExit: For another one, with the exit code that a shell gives it, 143 for SIGTERM.
    """
    if _received is not None:
        _received.append(number)
    _raise(number)


def _raise(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _end(number: int, frame: FrameType | None) -> None:
    for each in (*ENDING, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)  # a further one must not disturb the end
    stop_by(number)

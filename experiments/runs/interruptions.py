"""Signals that ask a process to stop or to save. Within a gradient step they wait for its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from cls_env.command_line.signals import stop_by

GRACE = 6.0
"""Seconds that a stop waits for the end of a gradient step, before it happens at once."""
STOPS = ("SIGTERM", "SIGINT", "SIGHUP")
SAVE = "SIGUSR1"
"""Slurm can send it some time before it takes a machine away."""


class Interruptions:
    """Handles signals in a `with` block, in the main thread.

    SIGTERM and SIGHUP end the process with the exit codes 143 and 129, and SIGINT raises `KeyboardInterrupt`: at once
    or, within `training`, when `obey` is called. Further ones are ignored while it stops. SIGUSR1 asks for a checkpoint
    only.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._training = False
        self._stop: int | None = None
        self._stopping = False
        self._save = False

    def __enter__(self) -> Interruptions:
        if threading.current_thread() is threading.main_thread():
            for name in (*STOPS, SAVE):
                number = getattr(signal, name, None)
                ignored = name in STOPS and number is not None and signal.getsignal(number) == signal.SIG_IGN
                if number is not None and not ignored:  # as in a worker, and in a job that a shell has put aside
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disarm()
        for number, handler in self._before.items():
            would_stop_again = callable(handler) and handler is not signal.default_int_handler
            signal.signal(number, signal.SIG_IGN if self._stopping and would_stop_again else handler)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Let signals wait until `obey` is called."""
        self._training = True
        try:
            yield
        finally:
            self._training = False
            self._disarm()
            if self._stop is not None:  # it came after the last step
                self._stop_alone()

    def wanted(self) -> bool:
        """Whether a checkpoint is wanted, because of a signal."""
        return self._save or self._stop is not None

    def obey(self) -> None:
        """Stop, if a signal has asked for it.

        Raises:
            KeyboardInterrupt: After SIGINT.
            SystemExit: After SIGTERM.
        """
        self._save = False
        if self._stop is not None:
            number, self._stop = self._stop, None
            self._stopping = True
            stop_by(number)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == getattr(signal, SAVE, None):
            self._save = True
        elif self._stopping or self._stop is not None:
            return
        elif self._training:
            self._stop = number
            if hasattr(signal, "setitimer"):
                self._before.setdefault(signal.SIGALRM, signal.signal(signal.SIGALRM, self._too_late))
                signal.setitimer(signal.ITIMER_REAL, GRACE)
        else:
            self._stopping = True
            stop_by(number)

    def _too_late(self, number: int, frame: FrameType | None) -> None:
        self._stop_alone()

    def _stop_alone(self) -> None:
        """Obey without asking other processes of the run."""
        self.obey()

    def _disarm(self) -> None:
        if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
            signal.setitimer(signal.ITIMER_REAL, 0)

"""Signals that ask several processes of one run to stop or to save, after the same gradient step."""

from __future__ import annotations

import signal
from types import FrameType

from agents.parallel.exchange import largest, wait_for_all
from agents.parallel.processes import current
from cls_env.command_line.signals import stop_by
from experiments.runs.interruptions import STOPS, Interruptions


class AgreedInterruptions(Interruptions):
    """As `Interruptions`; a signal to one process is one to all.

    Launchers send signals several times, and SIGTERM after SIGINT. So a further one does not stop a process at once,
    before it has written its checkpoint.
    """

    _agreed: int | None = None

    def wanted(self) -> bool:
        """Whether a checkpoint is wanted in any process; all must ask at the same step."""
        stop, save = largest([self._stop or 0, int(self._save)])
        self._agreed, self._save = stop or None, bool(save)
        if stop:
            self._disarm()
        return bool(stop or save)

    def obey(self) -> None:
        """Stop if all have agreed to, when all have written what they write."""
        self._save = False
        if self._agreed is not None:
            number, self._agreed, self._stop = self._agreed, None, None
            self._stopping = True
            wait_for_all()
            stop_by(number)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        stops = self._training and (self._stop is not None or self._agreed is not None)
        if not stops or signal.Signals(number).name not in STOPS:
            super()._receive(number, frame)

    def _stop_alone(self) -> None:
        super().obey()


def interruptions() -> Interruptions:
    """The signals of a run, in one process or in several."""
    return AgreedInterruptions() if current().several else Interruptions()

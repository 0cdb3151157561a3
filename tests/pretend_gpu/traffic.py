"""What is copied between host and GPU, and where the host waits."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from stable_baselines3.common.callbacks import BaseCallback

_HIDDEN = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


@dataclass(frozen=True)
class Event:
    """One copy, or one wait without a copy.

    Attributes:
        kind: `"upload"` to the GPU, `"download"` from it, or `"wait"` for a value on it.
        operation: The operation of PyTorch.
        size: Bytes.
        waits: Whether the host waits for the GPU. It does not if the host's memory is pinned and the copy non-blocking.
        line: File and line that called PyTorch.
    """

    kind: Literal["upload", "download", "wait"]
    operation: str
    size: int
    waits: bool
    line: str


@dataclass
class Traffic:
    """The events since it was made or `taken`, in order."""

    events: list[Event] = field(default_factory=list)

    def add(self, kind: Literal["upload", "download", "wait"], operation: str, size: int, waits: bool = True) -> None:
        """Record an event of the calling line."""
        self.events.append(Event(kind, operation, size, waits, _calling_line()))

    @property
    def uploaded(self) -> int:
        """Bytes copied to the GPU."""
        return sum(event.size for event in self.events if event.kind == "upload")

    @property
    def waits(self) -> list[Event]:
        """The events for which the host waits."""
        return [event for event in self.events if event.waits]

    def taken(self) -> Traffic:
        """The events so far, which are removed from this object."""
        part, self.events = Traffic(self.events), []
        return part


class StepTraffic(BaseCallback):
    """Cuts the traffic of `learn` at each step of the environment.

    Attributes:
        steps: What happened from one step of the environment to the next: a whole training step, from the backward pass
            on one batch to the actions for the next one.
    """

    def __init__(self, traffic: Traffic) -> None:
        super().__init__()
        self._traffic = traffic
        self.steps: list[Traffic] = []
        self._begun = False

    def _on_training_start(self) -> None:
        self._begun = False

    def _on_step(self) -> bool:
        part = self._traffic.taken()
        if self._begun:
            self.steps.append(part)
        self._begun = True
        return True


def _calling_line() -> str:
    """The innermost line outside PyTorch and this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HIDDEN):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"

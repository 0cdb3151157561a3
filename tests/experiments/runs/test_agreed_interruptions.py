"""Signals to one of several processes."""

from __future__ import annotations

import os
import signal

import pytest

from experiments.runs import agreed_interruptions
from experiments.runs.agreed_interruptions import AgreedInterruptions, interruptions
from experiments.runs.interruptions import Interruptions


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the other process has: a stop, and whether it wants a checkpoint."""
    theirs = [0, 0]
    monkeypatch.setattr(agreed_interruptions, "largest", lambda own: [max(own[0], theirs[0]), max(own[1], theirs[1])])
    monkeypatch.setattr(agreed_interruptions, "wait_for_all", lambda: None)
    return theirs


def test_a_signal_to_another_process_stops_this_one(others: list[int]) -> None:
    with AgreedInterruptions() as signals, pytest.raises(SystemExit) as stopped, signals.training():
        assert not signals.wanted()
        signals.obey()
        others[0] = signal.SIGTERM
        assert signals.wanted()
        os.kill(os.getpid(), signal.SIGTERM)  # the launcher's own, while the checkpoint is written
        signals.obey()
    assert stopped.value.code == 143


@pytest.mark.usefixtures("others")
def test_a_repeated_signal_waits_and_what_is_not_agreed_does_not_stop() -> None:
    with AgreedInterruptions() as signals, pytest.raises(KeyboardInterrupt), signals.training():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)  # as torchrun does, at once
        signals.obey()  # of a timed checkpoint, which the others don't write
        assert signals.wanted()
        signals.obey()


def test_a_checkpoint_that_another_process_wants(others: list[int]) -> None:
    with AgreedInterruptions() as signals, signals.training():
        others[1] = 1
        assert signals.wanted()
        others[1] = 0
        signals.obey()
        assert not signals.wanted()


def test_one_process_asks_no_others() -> None:
    assert type(interruptions()) is Interruptions

"""Commands that a launcher has started."""

from __future__ import annotations

import sys

import pytest

from experiments.commands import launched
from experiments.commands.launched import processes_of


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(launched, "WAIT", 0.0)
    monkeypatch.setattr(launched.signal, "signal", lambda number, handler: None)


@pytest.mark.parametrize("command", ["compare", "study", "rl", "predict"])
@pytest.mark.usefixtures("second")
def test_other_commands_are_for_one_process(command: str) -> None:
    streams = sys.stdout, sys.stderr
    with (
        pytest.raises(ValueError, match=f"{command} is for one process: start it without torchrun"),
        processes_of(command),
    ):
        pass
    assert (sys.stdout, sys.stderr) == streams


def test_without_a_launcher_nothing_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    for count in ("", "1"):
        monkeypatch.setenv("WORLD_SIZE", count)
        with processes_of("compare"):
            pass

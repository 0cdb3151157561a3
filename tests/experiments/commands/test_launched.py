"""Commands that a launcher has started."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import pytest

from agents.parallel import processes
from experiments.commands import launched
from experiments.commands.launched import processes_of


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Make this the second of two processes, and return the seconds for which it waits."""
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(launched.signal, "signal", lambda number, handler: None)
    waited: list[float] = []
    monkeypatch.setattr(launched.time, "sleep", waited.append)
    return waited


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


@pytest.mark.parametrize(
    ("error", "wait", "said"),
    [
        (ValueError("no"), launched.WAIT_AT_ERROR, "in process 1: "),
        (SystemExit(143), launched.WAIT_AT_STOP, ""),
        (KeyboardInterrupt(), launched.WAIT_AT_STOP, ""),
    ],
)
def test_an_error_waits_for_that_of_the_first_process(
    error: BaseException,
    wait: float,
    said: str,
    second: list[float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(processes, "joined", nullcontext)
    with pytest.raises(type(error)), processes_of("run"):
        print("progress")
        raise error
    assert second == [wait]
    assert capsys.readouterr() == ("", said)

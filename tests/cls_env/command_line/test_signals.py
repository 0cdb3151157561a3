"""A command ends by the signal that it receives, whatever a library makes of it."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from cls_env.command_line.errors import answer
from cls_env.command_line.signals import ended_by_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


def hide(number: int) -> None:
    """What some libraries do: the error of a handler becomes another."""
    try:
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 5)  # the handler runs
    except BaseException as error:
        raise ImportError("initialization failed") from error


@pytest.mark.parametrize(
    ("number", "raised", "code"),
    [
        (signal.SIGTERM, SystemExit, 143),
        (signal.SIGHUP, SystemExit, 129),
        (signal.SIGINT, KeyboardInterrupt, None),
    ],
)
def test_a_library_does_not_hide_a_signal(
    number: int, raised: type[BaseException], code: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(raised) as stopped, ended_by_signals():
        answer(lambda words: hide(number), [])
    assert code is None or stopped.value.code == code  # type: ignore[attr-defined]
    said = capsys.readouterr().err
    assert "initialization" not in said and (code is None or "running it again resumes it" in said)
    assert signal.getsignal(number) == before
    assert answer(lambda words: (_ for _ in ()).throw(ValueError("wrong")), []) == 2  # a later command is its own


def test_further_signals_are_ignored_while_a_command_ends() -> None:
    def run(words: list[str]) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                os.kill(os.getpid(), number)
            ended.append(True)

    ended: list[bool] = []
    with pytest.raises(SystemExit), ended_by_signals():
        answer(run, [])
    assert ended


def test_a_signal_that_was_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with ended_by_signals():
            assert answer(lambda words: os.kill(os.getpid(), signal.SIGHUP), []) == 0
    finally:
        signal.signal(signal.SIGHUP, before)

"""Commands that are stopped by signals: exit codes, and what they leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from experiments.benchmarks.faults.same_results import differences

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals"),
]

ROOT = Path(__file__).parents[3]
SMALL = ["--dataset", "digits", "--max-per-class", "20", "--epochs", "30", "--num-tasks", "2", "--device", "cpu"]
RUN = ["run", *SMALL, "--seed", "0"]
COMPARE = ["compare", *SMALL, "--objectives", "ce", "epg", "--label-noise", "0", "--seeds", "0", "--workers", "2"]


def command(words: Sequence[str], out: Path) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "experiments", *words, "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(line, text=True, env=environment, start_new_session=True, **pipes)  # type: ignore[call-overload,no-any-return]


def in_training(out: Path) -> bool:
    """Whether a step is logged."""
    return any(file.stat().st_size for file in out.rglob("progress_task*.csv"))


@pytest.mark.parametrize("words", [RUN, COMPARE], ids=["run", "compare"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_command_ends_with_its_code_and_the_same_command_finishes_it(
    words: Sequence[str], number: int, code: int, tmp_path: Path
) -> None:
    with command(words, tmp_path / "cut") as process:
        limit = time.monotonic() + 120
        while not in_training(tmp_path / "cut"):
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "running it again resumes it" in errors and "Traceback" not in errors
    assert list((tmp_path / "cut").rglob("training/task_*/step_*.zip"))
    assert not [file for file in (tmp_path / "cut").rglob(".*")]
    for out in ("cut", "whole"):
        with command(words, tmp_path / out) as process:
            _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    configurations = sorted((tmp_path / "whole").rglob("config.json"))
    assert configurations
    for file in configurations:
        run = file.parent.relative_to(tmp_path / "whole")
        assert differences(tmp_path / "cut" / run, tmp_path / "whole" / run) == []

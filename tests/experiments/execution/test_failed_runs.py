"""A comparison finishes all runs that it can, and names the others."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.comparisons.entries import objective_entries
from experiments.config.entry import Entry
from experiments.config.settings import CompareConfig
from experiments.execution.engines.local import LocalEngine
from experiments.execution.failures import Failures
from experiments.execution.run_all import run_all
from experiments.runs.errors import RunFailedError
from experiments.runs.job import LEARNING, Job, prepare_learning
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run

pytestmark = pytest.mark.long

SETTINGS: dict[str, Any] = {"dataset": "digits", "num_tasks": 2, "epochs": 1, "max_per_class": 4, "device": "cpu"}


def entries(*seeds: int) -> list[Entry]:
    return objective_entries(CompareConfig(objectives=("ce",), label_noise=(0.0,), seeds=seeds, **SETTINGS))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_fails_does_not_stop_the_others(
    workers: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    three = entries(0, 1, 2)
    place = tmp_path / three[0].config.name
    place.mkdir()
    (place / "foreign.txt").write_text("x")
    with pytest.raises(RunFailedError, match=r"seed0.* failed: FileExistsError: .*; the other 2 are finished"):
        run_all(three, tmp_path, LocalEngine(workers))
    assert "warning: the run digits-ce-lora-noise0-seed0" in capsys.readouterr().err
    assert [RunFolder(tmp_path / entry.config.name).finished for entry in three] == [False, True, True]
    (place / "foreign.txt").unlink()
    assert len(run_all(three, tmp_path, LocalEngine(workers))) == 3


def run_killed_once(config: Any, folder: RunFolder, on_images: Any, checkpoint_every: float) -> Any:
    """Kill the worker of the second seed at its first attempt, and that of the third at each."""
    mark = folder.path.with_suffix(".killed")
    if config.seed == 2 or (config.seed == 1 and not mark.exists()):
        folder.path.parent.mkdir(exist_ok=True)
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return run(config, folder, on_images, checkpoint_every)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.slow
def test_the_runs_of_a_killed_worker_are_tried_again_by_themselves(tmp_path: Path) -> None:
    four = entries(0, 1, 2, 3)
    with pytest.raises(
        RunFailedError, match=r"seed2.* failed: its worker process was killed twice.*other 3 are finished"
    ):
        run_all(four, tmp_path, LocalEngine(2), Job(run_killed_once, prepare_learning))
    assert [RunFolder(tmp_path / entry.config.name).finished for entry in four] == [True, True, False, True]
    assert len(run_all(four, tmp_path, LocalEngine(1), LEARNING)) == 4


def test_failures_are_counted_and_named() -> None:
    one, two = entries(0, 1)
    failures = Failures()
    failures.check(2)
    failures.add(one, "no memory")
    with pytest.raises(RunFailedError, match=r"seed0-\w+ failed: no memory; the other one is finished$"):
        failures.check(2)
    failures.add(two, "no disk")
    with pytest.raises(RunFailedError, match=r"^2 runs failed: the run .* failed: no memory; the run .* no disk$"):
        failures.check(2)

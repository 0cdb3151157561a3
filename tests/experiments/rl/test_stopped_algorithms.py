"""Runs of algorithms that are stopped by a signal end with the results of undisturbed ones."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.rl.config import RlConfig, algorithm_entries
from experiments.rl.curve import CURVE, read_curve
from experiments.rl.runner import run_algorithm
from experiments.runs.run_folder import RunFolder
from tests.experiments.runs.test_stopped_runs import signal_after

SETTINGS: dict[str, Any] = {"dataset": "digits", "num_tasks": 3, "epochs": 2, "max_per_class": 4, "batch_size": 4}
TIMES = "training_seconds"


@pytest.mark.parametrize("algorithm", ["epg", "reinforce-baseline", "epsilon-greedy", "thompson", "a2c"])
def test_a_stopped_algorithm_ends_as_an_undisturbed_one(algorithm: str, tmp_path: Path) -> None:
    (entry,) = algorithm_entries(RlConfig(algorithms=(algorithm,), seeds=(0,), device="cpu", **SETTINGS))
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    expected = run_algorithm(entry.config, whole)
    for images in (12, 44):  # within the first task, and within the next one
        with pytest.raises(SystemExit):
            run_algorithm(entry.config, stopped, signal_after(images, signal.SIGTERM))
        assert bool(list(stopped.training.glob("task_*/step_*.zip"))) == (algorithm != "a2c")
    images: list[int] = []
    found = run_algorithm(entry.config, stopped, images.append)
    assert sum(images) == 2 * 40
    curves = [pd.read_csv(folder.path / CURVE).drop(columns="seconds") for folder in (stopped, whole)]
    pd.testing.assert_frame_equal(*curves, check_exact=True)
    assert np.array_equal(stopped.read_matrix(), whole.read_matrix(), equal_nan=True)
    assert {key: value for key, value in found.items() if key != TIMES} == {
        key: value for key, value in expected.items() if not key.startswith(TIMES)
    }
    assert {file.name for file in stopped.path.iterdir()} == {file.name for file in whole.path.iterdir()}


def test_an_algorithm_that_is_killed_at_its_very_end_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def killed(folder: RunFolder) -> None:
        (folder.finished_tasks / "1.zip").unlink()
        raise KilledError

    (entry,) = algorithm_entries(RlConfig(algorithms=("epg",), seeds=(0,), device="cpu", **SETTINGS))
    folder = RunFolder(tmp_path / "run")
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(RunFolder, "tidy", killed)
        run_algorithm(entry.config, folder)
    assert run_algorithm(entry.config, folder) == folder.metrics()
    assert not folder.finished_tasks.exists() and not folder.model_before.exists()


def test_the_curve_of_another_run_is_refused(tmp_path: Path) -> None:
    folders = []
    for entry in algorithm_entries(RlConfig(algorithms=("epg",), seeds=(0, 1), device="cpu", **SETTINGS)):
        folders.append((entry.config, RunFolder(tmp_path / str(entry.config.seed))))
        with pytest.raises(SystemExit):
            run_algorithm(*folders[-1], signal_after(44, signal.SIGTERM))
    (config, ours), (_, other) = folders
    (other.finished_tasks / "1.zip").replace(ours.finished_tasks / "1.zip")
    with pytest.raises(ValueError, match=r"1\.zip is not as this run has written it: start the run again with --fresh"):
        run_algorithm(config, ours)


def test_a_run_that_was_stopped_after_its_last_task_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (entry,) = algorithm_entries(RlConfig(algorithms=("epg",), seeds=(0,), device="cpu", **SETTINGS))
    expected = run_algorithm(entry.config, RunFolder(tmp_path / "whole"))
    folder = RunFolder(tmp_path / "stopped")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("experiments.rl.runner.measure_algorithm", _stopped)
        run_algorithm(entry.config, folder)
    assert not folder.finished
    found = run_algorithm(entry.config, folder)
    assert {key: value for key, value in found.items() if key != TIMES} == {
        key: value for key, value in expected.items() if key != TIMES
    }
    assert {file.name for file in folder.path.iterdir()} == {file.name for file in (tmp_path / "whole").iterdir()}


def _stopped(run: object) -> None:
    raise KeyboardInterrupt


def test_a_curve_of_another_run_is_named(tmp_path: Path) -> None:
    folders = []
    for algorithm in ("epg", "thompson"):
        (entry,) = algorithm_entries(RlConfig(algorithms=(algorithm,), seeds=(0,), device="cpu", **SETTINGS))
        folders.append(RunFolder(tmp_path / algorithm))
        run_algorithm(entry.config, folders[-1])
    assert read_curve(folders[0])["accuracy"].iloc[-1] == pytest.approx(folders[0].metrics()["final_accuracy"])
    shutil.copy(folders[1].path / CURVE, folders[0].path)
    with pytest.raises(ValueError, match=r"curve\.csv can't be read .*its last accuracy is .* and metrics\.json has"):
        read_curve(folders[0])

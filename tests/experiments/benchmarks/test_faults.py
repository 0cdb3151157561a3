"""The benchmark of faults, with few of each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from experiments.benchmarks.__main__ import main
from experiments.benchmarks.faults import cost, schedule, stops
from experiments.benchmarks.faults.same_results import differences
from experiments.benchmarks.faults.schedule import Row
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("finished") / "run"
    run(stops.configuration("sequential", 0), RunFolder(path))
    return path


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("metrics.json", '"forgetting": ', '"forgetting": 1', "metrics.json"),
        ("accuracy_matrix.csv", "0.", "0.0", "accuracy_matrix.csv"),
        ("steps/progress_task1.csv", ",1.0\n", ",0.5\n", None),
    ],
)
def test_a_changed_figure_is_found(
    file: str, old: str, new: str, found: str | None, finished: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(finished, tmp_path / "run")
    assert differences(other, finished) == []
    text = (other / file).read_text()
    (other / file).write_text(text.replace(old, new, 1) if old in text else text[:-2] + "\n")
    assert differences(other, finished) == [found or "steps"]


def test_changed_predictions_and_files_left_behind_are_found(finished: Path, tmp_path: Path) -> None:
    other = shutil.copytree(finished, tmp_path / "run")
    folder = RunFolder(other)
    answers = folder.read_predictions("after_task_1")
    answers["predictions"] = np.roll(answers["predictions"], 1)
    np.savez(other / "predictions" / "after_task_1.npz", **answers)
    (other / ".lock").touch()
    assert differences(other, finished) == ["file .lock", "predictions/after_task_1.npz"]


@pytest.mark.slow
def test_a_stopped_run_ends_as_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stops, "METHODS", {"sequential": {}})
    file = tmp_path / "rows.json"
    monkeypatch.setattr("sys.argv", ["benchmarks", "faults", "--parts", "stops", "--runs", "1", "--json", str(file)])
    assert main() == 0, capsys.readouterr()
    rows = {row["row"]: row["value"] for row in json.loads(file.read_text())}
    assert rows["of 1 runs equal to undisturbed ones"] == 1 and rows["runs that differ"] == 0
    assert sum(count for row, count in rows.items() if row.startswith("stopped by")) >= 1


def test_costs_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "AGENTS", {"small": {"model": "vit_micro_patch8_32"}})
    monkeypatch.setattr(cost, "STEPS", 1)
    (measured,) = cost.costs()
    assert measured.agent == "small" and measured.seconds > 0 and measured.bytes > 10_000
    assert measured.share == pytest.approx(measured.seconds / 300)


def test_the_command_writes_rows_and_fails_where_harm_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def harmful(settings: object) -> Iterator[Row]:
        yield Row("inputs", "inputs tried", 3, "inputs")
        yield Row("inputs", "undocumented errors", 1, harm=True)

    monkeypatch.setitem(schedule.PARTS, "inputs", harmful)
    file = tmp_path / "rows.json"
    monkeypatch.setattr("sys.argv", ["benchmarks", "faults", "--parts", "inputs", "--json", str(file)])
    assert main() == 2
    assert [row["value"] for row in json.loads(file.read_text())] == [3, 1]
    assert "not 0, as it must be: undocumented errors" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["benchmarks", "faults", "--runs", "0"])
    assert main() == 2 and "runs must be at least 1, not 0" in capsys.readouterr().err

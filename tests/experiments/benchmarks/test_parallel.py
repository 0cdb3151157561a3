"""The benchmark of several processes, with runs in this one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.benchmarks.__main__ import main
from experiments.benchmarks.parallel import schedule
from experiments.benchmarks.parallel.alike import largest_difference
from experiments.benchmarks.parallel.runs import configuration
from experiments.benchmarks.parallel.settings import gradient_methods
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run


def test_the_largest_difference_of_tensors() -> None:
    ours = torch.tensor([[1.0, -torch.inf], [2.0, 3.0]])
    assert largest_difference(ours, ours) == 0
    assert largest_difference(ours, torch.tensor([[1.0, -torch.inf], [2.5, 3.25]])) == 0.5
    assert largest_difference(ours, torch.tensor([[1.0, 0.0], [2.0, 3.0]])) == torch.inf
    assert largest_difference(torch.tensor([250], dtype=torch.uint8), torch.tensor([255], dtype=torch.uint8)) == 5


@pytest.mark.slow
def test_the_benchmark_prints_and_writes_differences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def execute(runs: Sequence[dict[str, Any]], folder: Path, processes: int) -> None:
        for position, arguments in enumerate(runs):
            rate = {"learning_rate": 6e-4} if processes > 1 else {}
            run(configuration(**arguments | rate), RunFolder(folder / str(position)))

    monkeypatch.setattr(schedule, "execute", execute)
    file = tmp_path / "parallel.json"
    words = ["parallel", "--methods", "sequential", "--epochs", "1", "--json", str(file)]
    monkeypatch.setattr("sys.argv", ["benchmarks", *words])
    assert main() == 0
    (row,) = json.loads(file.read_text())
    assert row["method"] == "sequential" and row["processes"] == 2 and row["gradient_steps"] == 9
    assert 1e-5 < row["weights"] < 0.1 and row["probabilities"] > 0 and row["weights_of_micro_batch"] > 1e-5
    assert "Largest absolute differences" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--processes", "1"], ["--methods", "ncm"], ["--methods", "unknown"]])
def test_what_can_not_be_compared_is_refused(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "parallel", *words])
    assert main() == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_all_methods_that_learn_by_gradients_are_compared() -> None:
    assert {"sequential", "lae", "inflora", "der++", "joint"} < set(gradient_methods())
    assert not {"ncm", "ranpac", "frozen"} & set(gradient_methods())

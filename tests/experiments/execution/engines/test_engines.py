"""Runs on Ray and as jobs of submitit give what the local engine gives, and a failed run is named with its log."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import main
from experiments.benchmarks.faults.same_results import differences
from experiments.config.comparison import ComparisonOptions
from experiments.config.entry import Entry
from experiments.config.settings import RunConfig
from experiments.execution.engines.choice import engine_of
from experiments.execution.engines.engine import Engine
from experiments.execution.engines.local import LocalEngine
from experiments.execution.engines.remote import last_line, log_file
from experiments.execution.run_all import run_all
from experiments.runs.errors import RunFailedError
from experiments.runs.run_folder import RunFolder

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        find_spec("ray") is None or find_spec("submitit") is None, reason="needs the extra `cluster`: ray and submitit"
    ),
]

SETTINGS: dict[str, Any] = {"dataset": "digits", "num_tasks": 2, "epochs": 1, "max_per_class": 4, "device": "cpu"}


def entries(*seeds: int, **changes: Any) -> list[Entry]:
    return [Entry("clean", "ce", RunConfig(objective="ce", seed=seed, **SETTINGS | changes)) for seed in seeds]


def engine(name: Any) -> Engine:
    parameters = ("cluster=local",) if name == "slurm" else ()
    return engine_of(ComparisonOptions(engine=name, slurm=parameters, workers=2))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ray", "slurm"])
def test_results_are_those_of_the_local_engine(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two = entries(0, 1)
    folder, names = tmp_path / name, [entry.config.name for entry in two]
    foreign = folder / names[1]
    foreign.mkdir(parents=True)
    (foreign / "foreign.txt").write_text("x")
    with pytest.raises(
        RunFailedError, match=r"seed1.* failed: .*is not empty and holds no run.*\.log\).*other one is fin"
    ):
        run_all(two, folder, engine(name))
    assert "is not empty and holds no run" in log_file(foreign).read_text()
    assert [RunFolder(folder / each).finished for each in names] == [True, False]
    (foreign / "foreign.txt").unlink()
    capsys.readouterr()
    runs = run_all(two, folder, engine(name))
    assert "1 of 2 runs already finished" in capsys.readouterr().out
    local = run_all(two, tmp_path / "local", LocalEngine(0))
    assert runs["final_accuracy"].tolist() == local["final_accuracy"].tolist()
    assert [differences(folder / each, tmp_path / "local" / each) for each in names] == [[], []]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["ray", "slurm"])
def test_a_stopped_command_keeps_its_checkpoint(name: str, tmp_path: Path) -> None:
    words = [
        "--dataset",
        "digits",
        "--num-tasks",
        "2",
        "--epochs",
        "2000",
        "--max-per-class",
        "4",
        "--objectives",
        "ce",
    ]
    words += ["--label-noise", "0", "--seeds", "0", "--device", "cpu", "--checkpoint-every", "0.01", "--engine", name]
    words += ["--slurm", "cluster=local"] if name == "slurm" else []
    command = [sys.executable, "-m", "experiments", "compare", *words, "--out", str(tmp_path / "out")]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    runs = tmp_path / "out" / "runs"
    while not list(runs.glob("*/training/*/*")):
        assert process.poll() is None, (tmp_path / "said").read_text()
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert list(runs.glob("*/training/*/*")) and not list(runs.glob("*/metrics.json"))


def test_options_that_do_not_fit_an_engine_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words, message in (
        (["--slurm", "time=3"], "--slurm has no effect with --engine local: it needs slurm"),
        (["--address", "auto"], "--address has no effect with --engine local: it needs ray"),
        (["--gpus-per-run", "1"], "--gpus-per-run has no effect with --engine local: it needs ray or slurm"),
        (["--engine", "ray", "--workers", "0"], "--workers 0 runs in this process: drop it, or --engine ray"),
        (["--engine", "slurm", "--gpus-per-run", "0.5"], "--gpus-per-run must be a whole number with --engine slurm"),
        (["--engine", "slurm", "--slurm", "time"], "--slurm takes words of the form name=value, not 'time'"),
        (["--engine", "slurm", "--slurm", "cluster=local", "tme=3"], "--engine slurm: "),
        (["--workers", "-1"], "--workers must be a whole number of at least 0, not -1"),
    ):
        assert main(["compare", *words]) == 2
        said = capsys.readouterr().err
        assert message in said and len(said.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_no_ray_cluster_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"no Ray cluster at '127\.0\.0\.1:1': ConnectionRefusedError"):
        run_all(entries(0), tmp_path, engine_of(ComparisonOptions(engine="ray", address="127.0.0.1:1")))


def test_the_last_line_of_a_log(tmp_path: Path) -> None:
    other = tmp_path / "job.err"
    assert "can't be read" in last_line(tmp_path / "run", other)
    other.write_text("")
    assert last_line(tmp_path / "run", other) == f"it has printed nothing (log {other})"
    log_file(tmp_path / "run").parent.mkdir()
    log_file(tmp_path / "run").write_text("first\n" + "x" * 5000 + "\nlast\x1b[1m\n\n")
    assert last_line(tmp_path / "run", other) == rf"last\x1b[1m (log {log_file(tmp_path / 'run')})"


@pytest.mark.slow
def test_a_lost_node_and_a_job_that_is_queued_again() -> None:
    from experiments.benchmarks.engines.schedule import benchmark_engines
    from experiments.benchmarks.engines.settings import EngineSettings

    rows = benchmark_engines(EngineSettings(runs=8, parts=("ray", "slurm")))
    assert not any(row["harm"] for row in rows)

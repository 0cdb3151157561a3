"""Whatever goes wrong on the command line is one line; `--debug` shows the traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.commands import catalogue
from experiments.comparisons.entries import objective_entries
from experiments.config.settings import CompareConfig, RunConfig
from experiments.execution.engines.local import LocalEngine
from experiments.execution.run_all import run_all
from experiments.rl.config import RlConfig, algorithm_entries
from experiments.rl.runner import run_algorithm
from experiments.runs.errors import RunFailedError
from experiments.runs.measure import refuse_absurd
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]
SMALL = ["--dataset", "digits", "--num-tasks", "2", "--epochs", "5", "--max-per-class", "4"]
SMALL += ["--device", "cpu", "--label-fit"]
OWN_LOSS = """
from agents.objectives import cross_entropy_loss, register_objective

class Odd(Exception):
    def __init__(self, first, second):  # so that it can't be copied to another process
        super().__init__(f"{first}\\n{second}")

@register_objective("breaks")
def breaks(logits, action_rewards, progress):
    if len(logits) > 2:
        raise Odd("two", "lines")
    return cross_entropy_loss(logits, action_rewards)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A small run."""
    folder = RunFolder(tmp_path_factory.mktemp("whole") / "run")
    run(RunConfig(dataset="digits", num_tasks=2, epochs=5, max_per_class=4, device="cpu", label_fit=True), folder)
    return folder


@pytest.fixture
def finished(whole: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of it, to be damaged."""
    return RunFolder(Path(shutil.copytree(whole.path, tmp_path / "run")))


def answer_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code, and the one line."""
    capsys.readouterr()
    code = main(words)
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and printed.count("\n") == 1 and "Traceback" not in printed
    return code, printed


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("first\n   second\n\nthird"), 2, "error: first second third"),
        (RunFailedError("the run a failed"), 2, "error: the run a failed"),
        (ModuleNotFoundError("no such\nlibrary"), 2, "error: no such library"),
        (RuntimeError("probability tensor\ncontains nan"), 1, "error: RuntimeError: probability tensor contains nan"),
        (AssertionError(), 1, "error: AssertionError"),
        (KeyError("train/task"), 1, "error: KeyError: 'train/task'"),
    ],
)
def test_any_error_is_one_line_and_debug_shows_where_it_comes_from(
    error: Exception, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        """Fail."""
        raise error

    monkeypatch.setattr(catalogue, "methods_command", fail)
    found = answer_of(["methods"], capsys)
    assert found == (code, f"{line}{' (--debug shows the traceback)' if code == 1 else ''}\n")
    assert main(["--debug", "methods"]) == main(["methods", "--debug"]) == code
    printed = capsys.readouterr().err
    assert printed.count("Traceback (most recent call last)") == 2 and printed.endswith(found[1])


def test_debug_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "--debug" in capsys.readouterr().out


class _Interrupt:
    """Presses Ctrl-C while a command is imported."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "experiments.commands.stream":
            raise KeyboardInterrupt


def test_interrupted_imports_leave_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "experiments.commands.stream", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_Interrupt(), *sys.meta_path])
    assert main(["stream"]) == 130
    assert capsys.readouterr().err == "interrupted; if the command saves its progress, running it again resumes it\n"


DRAW = """
import sys
from pathlib import Path
import experiments.__main__ as program

run_command_line = program.run_command_line

def draw_first(words):
    from experiments.reports.figures import save_figures  # imports matplotlib as every command does
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([0, 1])
    save_figures({"line": figure}, Path("figures"))
    run_command_line(words)

program.run_command_line = draw_first
sys.exit(program.main(["methods"]))
"""


@pytest.mark.slow
def test_a_reader_that_goes_away_and_a_backend_that_is_not_there_are_no_trouble(tmp_path: Path) -> None:
    environment = os.environ | {"MPLBACKEND": "nonsense", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", DRAW]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1
    assert (tmp_path / "figures" / "line.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "protocol.json", "metrics.json", "accuracy_matrix.csv", "training_labels.csv", "model.zip"),
        *("predictions/after_task_1.npz", "steps/progress_task0.csv"),
    ],
)
def test_a_damaged_file_of_a_run_is_named(name: str, finished: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    file = finished.path / name
    whole = file.read_bytes()
    if name not in ("config.json", "protocol.json", "metrics.json"):
        (finished.path / "metrics.json").unlink()
    cut = [whole[:40]] if file.suffix in (".json", ".zip", ".npz") else []
    for content in (*cut, b"[]", b"\xff\x00{"):
        file.write_bytes(content)
        code, line = answer_of(["run", *SMALL, "--out", str(finished.path)], capsys)
        assert code == 2 and f"{file} can't be read" in line
        assert f"remove the folder {finished.path}" in line or "remove this file" in line


def test_results_of_fewer_tasks_than_the_agent_learned_are_noticed(
    finished: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (finished.path / "accuracy_matrix.csv").read_text().splitlines()
    (finished.path / "accuracy_matrix.csv").write_text("\n".join(lines[:2]) + "\n")
    (finished.path / "metrics.json").unlink()
    code, line = answer_of(["run", *SMALL, "--out", str(finished.path)], capsys)
    assert code == 2 and "holds an agent of 2 tasks and results of 1: remove it" in line


def test_measures_written_anew_are_those_that_were_lost(finished: RunFolder) -> None:
    before = finished.metrics()
    (finished.path / "metrics.json").write_text("{")
    with pytest.raises(ValueError, match=r"metrics\.json can't be read .*remove this file"):
        finished.metrics()
    (finished.path / "metrics.json").unlink()
    config = RunConfig(**json.loads((finished.path / "config.json").read_text()))
    after = run(config, finished)
    passing = {"seconds", "images_per_second", "peak_memory_bytes"}
    assert {key: value for key, value in after.items() if key not in passing} == {
        key: value for key, value in before.items() if key not in passing
    }


def test_a_run_that_diverged_is_not_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--out", str(tmp_path / "run")]
    code, line = answer_of(["run", *SMALL, "--epochs", "1", "--learning-rate", "1e5", *place], capsys)
    assert code == 2 and "training diverged at gradient step 1 of task 0 with learning rate 100000: " in line
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.parametrize(
    "measures", [{"nll": 1.1e4}, {"per_task_accuracy": [0.5, float("nan")]}, {"ece": float("inf")}]
)
def test_absurd_measures_are_refused(measures: dict[str, object]) -> None:
    refuse_absurd({"train_entropy": None, "nll": 30.0, "accuracy_curve": [0.5]}, 1.0)
    with pytest.raises(ValueError, match=rf"training diverged: {next(iter(measures))} is .* with learning rate 0\.5"):
        refuse_absurd({"final_accuracy": 0.5} | measures, 0.5)


def test_a_run_of_absurd_measures_is_not_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.runs.measure.LARGEST_NLL", 0.0)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(ValueError, match=r"training diverged: nll is .* use a smaller --learning-rate"):
        run(RunConfig(dataset="digits", num_tasks=1, epochs=1, max_per_class=2, device="cpu"), folder)
    assert folder.model.exists() and not folder.finished


@pytest.fixture
def _own_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "own_errors.py").write_text(OWN_LOSS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    yield
    from agents.objectives import OBJECTIVES

    OBJECTIVES.pop("breaks", None)


@pytest.mark.slow
@pytest.mark.usefixtures("_own_errors")
def test_an_error_within_a_worker_is_one_line(tmp_path: Path) -> None:
    settings = {"dataset": "digits", "num_tasks": 2, "epochs": 1, "max_per_class": 4, "imports": ("own_errors",)}
    entries = objective_entries(CompareConfig(objectives=("breaks",), label_noise=(0.0,), seeds=(0,), **settings))
    with pytest.raises(RunFailedError) as failed:
        run_all(entries, tmp_path / "runs", LocalEngine(1))
    assert str(failed.value) == f"the run {entries[0].config.name} failed: Odd: two lines"


def test_divergence_of_another_librarys_algorithm_is_told_as_such(tmp_path: Path) -> None:
    settings = {"dataset": "digits", "num_tasks": 2, "epochs": 20, "max_per_class": 4, "device": "cpu"}
    (entry,) = algorithm_entries(RlConfig(algorithms=("ppo",), seeds=(0,), learning_rate=1e30, **settings))
    with pytest.raises(
        ValueError, match=r"ppo diverged in task 0, after .* give a smaller --learning-rate than 1e\+30"
    ):
        run_algorithm(entry.config, RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run" / "metrics.json").exists()

"""Names and paths are printed and drawn as they are, and tables are whole on any terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from experiments import console as terminal
from experiments.__main__ import main
from experiments.config.identity import MOST_NAME_BYTES, folder_name
from experiments.config.settings import RunConfig
from experiments.console import say, show
from experiments.files import read_json, write_json
from experiments.reports.figures import save_figures
from experiments.reports.tables import markdown, rich_tables, summary_table
from experiments.rl.config import AlgorithmRun

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]
LONG = "reinforce:samples=16,baseline=running-mean"


@pytest.fixture
def odd_names(tmp_path: Path) -> Path:
    """Three classes whose names are markup, of two training images and a test image each."""
    for name in ("[cat]", "dog [small]", ":smile: [red]"):
        for split, count in (("train", 2), ("test", 1)):
            folder = tmp_path / "für [v2]" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                Image.new("RGB", (16, 16), (80 * index, 0, 0)).save(folder / f"{index}.png")
    return tmp_path / "für [v2]"


def test_brackets_are_no_markup_from_the_stream_to_the_finished_run(
    odd_names: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["--dataset", "folder", "--root", str(odd_names), "--num-tasks", "1", "--epochs", "1", "--batch-size", "2"]
    assert main(["stream", *words]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("[cat]", "dog [small]", ":smile: [red]"))
    out = tmp_path / "x[/y] [bold] :smile:" / ("long" * 20)
    assert main(["run", *words, "--device", "cpu", "--out", str(out)]) == 0
    assert f"results in {out}\n" in capsys.readouterr().out
    assert main(["run", *words, "--dry-run"]) == 0
    assert "[cat]" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_is_found_again_whatever_the_encoding_of_the_system(tmp_path: Path) -> None:
    (matrix := tmp_path / "für.csv").write_text("\n".join([",".join(["0.1"] * 10)] * 10), encoding="utf-8-sig")
    words = f"run --dataset digits --num-tasks 1 --epochs 1 --max-per-class 2 --device cpu --noise-matrix {matrix}"
    words += f" --out {tmp_path / 'out'}"
    code = "import sys; from experiments.__main__ import main; sys.exit(main() or main())"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = subprocess.run([sys.executable, "-c", code, *words.split()], env=environment, capture_output=True)
    assert process.returncode == 0, process.stderr
    assert process.stdout.count(b"results in") == 2


def test_names_that_are_not_utf_8_are_kept(tmp_path: Path) -> None:
    for name in (os.fsdecode(b"caf\xe9"), "caf\udcc3\udca9", "café"):
        write_json(tmp_path / "config.json", {"root": name})
        assert read_json(tmp_path / "config.json") == {"root": name}
    assert "café" in (tmp_path / "config.json").read_text(encoding="utf-8")


@pytest.fixture
def summary() -> pd.DataFrame:
    rows = [
        {"condition": "c", "contender": contender, "seed": seed, "final_accuracy": value + seed / 10}
        | {"average_accuracy": value, "forgetting": 0.1, "test_entropy": 1.0}
        for contender, value in (("ce", 0.5), (LONG, 0.4))
        for seed in (0, 1)
    ]
    return summary_table(pd.DataFrame(rows), "ce")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_no_number_is_cut(
    is_terminal: bool, summary: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow = Console(width=40, force_terminal=is_terminal, **terminal.PLAIN)
    monkeypatch.setattr(terminal, "console", narrow)
    show(*rich_tables(summary))
    say("a path that is longer than the terminal is wide: " + "x" * 80)
    printed = capsys.readouterr().out
    assert "…" not in printed and "x" * 80 in printed
    (line,) = [line for line in printed.splitlines() if "REINFORCE" in line]
    assert " ".join(line.split()) == "REINFORCE 16, running-mean 45.0 ± 7.1 40.0 ± 0.0 10.0 ± 0.0 1.00 ± 0.00 -10.0"


def test_bars_and_line_breaks_stay_within_their_cell() -> None:
    table = markdown(pd.DataFrame({"contender": ["a|b", "c\nd"], "A_T %": ["1", "2"]}))
    assert table.splitlines()[2:] == [r"| a\|b | 1 |", "| c d | 2 |"]


def test_names_in_figures_are_no_mathematics(tmp_path: Path) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 10], [1, 2], label=r"cost $x^{ and $y_")
    axes.set(xscale="log", title=r"$\nonsense{$")
    axes.set_yticks([1, 2], ["a$_b$", r"\frac{$$"])
    figure.legend()
    file, _ = save_figures({"odd": figure}, tmp_path)  # matplotlib's parser would refuse each of them
    assert file.stat().st_size > 1000
    figure.savefig(io.BytesIO())
    assert [label.get_text() for label in axes.get_xticklabels() if label.get_parse_math()]


def test_names_of_run_folders_fit_a_file_system() -> None:
    peft = "lora:targets=" + "+".join(["kv"] * 100)
    long = RunConfig(objective="ce", peft=peft, dataset="folder", root="/x/" + "字" * 80)
    assert len(long.name.encode()) <= MOST_NAME_BYTES and long.name.startswith("字字")
    assert long.name != RunConfig(**long.as_json() | {"seed": 1}).name
    assert folder_name(["a b", "c"], RunConfig, {}) == "a_b-c-44136fa3"
    algorithm = AlgorithmRun(algorithm="ppo:" + "n_steps=5," * 40)
    assert len(algorithm.name.encode()) <= MOST_NAME_BYTES

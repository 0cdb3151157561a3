"""The command that lets a model learn new classes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from agents import load_agent
from experiments.__main__ import main

pytestmark = pytest.mark.long


@pytest.fixture
def place(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(model, tmp_path / "may.zip"))


def test_a_new_file_is_written_and_the_accuracies_are_shown(
    place: Path,
    june: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = place.read_bytes()
    assert main(["continue", str(place), "--root", f"{june}/", "--epochs", "2", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "4 classes are learned, 2 new: 'ant', 'fox'" in printed
    assert "12 images: 20 % of each class held out for testing (test_fraction=0.2)" in printed
    rows = {line.split("  ")[0].strip(): line.split() for line in printed.splitlines()}
    assert rows["learned before"][2:4] == ["4", "8"] and rows["learned before"][4].endswith("%")
    assert rows["new"][1:3] == ["2", "4"] and rows["all"][1:3] == ["6", "12"]
    assert place.read_bytes() == content
    assert load_agent(place.with_name("may-continued.zip"), device="cpu").class_names[4:] == ("ant", "fox")
    assert main(["continue", str(place), "--root", str(june)]) == 2
    assert "may-continued.zip is there already: remove it, or give another --out" in capsys.readouterr().err


def test_new_classes_alone(
    place: Path,
    new_alone: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--root", str(new_alone), "--epochs", "1", "--device", "cpu", "--out", str(place.with_name("june"))]
    assert main(["continue", str(place), *words]) == 0
    printed = capsys.readouterr().out
    assert "has no image of the 4 learned classes: what is forgotten of them can't be tested" in printed
    assert "learned before" not in printed and place.with_name("june.zip").is_file()


def test_a_fraction_that_moves_the_held_out_images_is_warned_of(
    place: Path,
    june: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--root", str(june), "--epochs", "1", "--device", "cpu", "--options", "test_fraction=0.2"]
    assert main(["continue", str(place), *words]) == 0
    assert "which has changed for 'bee', 'cat', 'dog', 'elk'" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "0"], "--epochs must be a whole number of at least 1"),
        (["--learning-rate", "0"], "--learning-rate must be in (0, inf)"),
        (["--options", "seed=1", "seed=2"], "--options names seed twice"),
        (["--options", "test_fration=0.2"], "did you mean 'test_fraction'"),
        (["--imports", "no_such_module"], "--imports no_such_module can't be imported"),
    ],
)
def test_wrong_options_are_one_line(
    words: list[str],
    message: str,
    place: Path,
    june: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["continue", str(place), "--root", str(june), *words]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1
    assert not place.with_name("may-continued.zip").exists()


def test_a_missing_model_is_named(june: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["continue", str(tmp_path / "none.zip"), "--root", str(june)]) == 2
    assert "none.zip" in capsys.readouterr().err


def test_a_second_process_is_refused_before_it_learns(
    place: Path, june: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = place.with_name("may-continued.zip")
    with FileLock(target.with_name(f".{target.name}.lock")):
        assert main(["continue", str(place), "--root", str(june), "--epochs", "1", "--device", "cpu"]) == 2
    assert f"another process is making {target}: wait, or give another --out FILE" in capsys.readouterr().err
    assert not target.exists()
    assert main(["continue", str(place), "--root", str(june), "--epochs", "1", "--device", "cpu"]) == 0
    assert sorted(file.name for file in place.parent.iterdir()) == ["may-continued.zip", "may.zip"]

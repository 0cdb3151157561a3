from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.config.pretraining import CharactersConfig
from experiments.pretraining.characters import pretrain

pytestmark = pytest.mark.long


@pytest.fixture
def folder_arguments(image_zip: Path) -> list[str]:
    return f"--dataset folder --root {image_zip} --num-tasks 2 --epochs 1 --batch-size 4 --device cpu".split()


def test_run_prints_accuracy_and_place(
    folder_arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["run", *folder_arguments, "--objective", "epg", "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "accuracy on all classes seen" in printed and "final_accuracy" in printed
    assert (tmp_path / "run" / "model.zip").exists()


def test_compare_prints_its_table_and_writes_it(
    folder_arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = [*folder_arguments, "--objectives", "ce", "aepg", "--label-noise", "0", "--seeds", "0", "1"]
    assert main(["compare", *arguments, "--workers", "0", "--out", str(tmp_path)]) == 0
    table = (tmp_path / "table.md").read_text()
    assert table.count("| 0% label noise") == 2 and "Made by `cls-env" in table
    assert {"runs.csv", "summary.csv", "choices.png", "output_entropy.png"} <= {
        file.name for file in tmp_path.iterdir()
    }
    assert "4 runs" in capsys.readouterr().out


def test_bounds_place_the_learner(folder_arguments: list[str], tmp_path: Path) -> None:
    assert main(["bounds", *folder_arguments, "--seeds", "0", "--workers", "0", "--out", str(tmp_path)]) == 0
    table = (tmp_path / "table.md").read_text()
    assert all(name in table for name in ("sequential", "joint", "frozen random"))


@pytest.mark.parametrize("command", ["run", "compare", "bounds", "pretrain-characters"])
def test_dry_run_writes_nothing(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, "--dry-run"]) == 0
    assert list(tmp_path.iterdir()) == []
    shown = "CharactersConfig(" if command == "pretrain-characters" else "time on this machine"
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "compare", "bounds", "pretrain", "pretrain-characters"])
def test_help_explains_every_option(command: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "--dry-run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--objective", "aegp"], "did you mean 'aepg'"),
        (["run", "--dataset", "glyph"], "did you mean 'glyphs'"),
        (["compare", "--objectives", "ce", "eppg"], "did you mean 'epg'"),
        (["run", "--num-tasks", "51"], "51 tasks can't be made of 50 classes"),
        (["compare", "--seeds"], "nothing to compare"),
        (["compare", "--seeds", "1", "1"], "named twice"),
        (["compare", "--blocks", "9"], "block 9 is out of range"),
        (["run", "--dataset", "folder"], "--dataset folder needs --root PATH, the folder, zip or tar"),
        (["stream", "--dataset", "huggingface"], "--dataset huggingface needs --options path=..."),
        (["run", "--options", "train_per_clas=3"], "train_per_clas'; did you mean 'train_per_class'? Known: "),
        (["run", "--device", "mps"], "--device mps: torch sees no Apple GPU here"),
        (["run", "--dataset", "folder", "--root", "nowhere"], "nowhere does not exist"),
        (["presets", "table9"], "unknown preset 'table9'; did you mean"),
    ],
)
def test_wrong_input_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ") and message in printed.err and len(printed.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_pretraining_writes_weights_and_card(tmp_path: Path) -> None:
    config = CharactersConfig(out=tmp_path, images=64, batch_size=16, test_images_per_class=1, threads=1)
    card = pretrain(config)
    assert json.loads((tmp_path / "vit_micro_patch8_32.json").read_text()) == card
    again = pretrain(replace(config, out=tmp_path / "again"))
    assert card["sha256"] == again["sha256"] and 0 <= card["test_accuracy"] < 0.1


def test_stream_says_what_was_left_out(image_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    tree = Path(shutil.copytree(image_tree, tmp_path / "tree"))
    (tree / "train" / "cat" / "notes.txt").write_text("x")
    shutil.copytree(tree / "test", tree / "val")
    assert main(["stream", "--dataset", "folder", "--root", str(tree), "--num-tasks", "2"]) == 0
    printed = capsys.readouterr().out
    assert "left out: 1 files that are not images (.txt)\n" in printed and "validation" in printed


def test_validation_folder_is_tested_on(image_tree: Path, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(image_tree, tmp_path / "tree"))
    shutil.copytree(tree / "test", tree / "val")
    words = (
        f"--dataset folder --root {tree} --num-tasks 2 --epochs 1 --batch-size 4 --device cpu --out {tmp_path / 'run'}"
    )
    assert main(["run", *words.split()]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["validation_accuracy"] == metrics["final_accuracy"]  # the same images

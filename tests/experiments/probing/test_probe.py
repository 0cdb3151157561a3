"""Probes of frozen backbones."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from agents.networks.embedded_vits import MINI_VIT
from experiments.__main__ import main
from experiments.config.settings import RunConfig
from experiments.config.validation import check
from experiments.probing.probe import probe

FEW = ("num_classes=5", "train_per_class=6", "test_per_class=6", "hard_fraction=0")
SETTINGS = {"num_tasks": 1, "peft": "none", "blocks": (), "options": FEW}


def test_the_backbone_of_characters_knows_characters() -> None:
    trained = probe(check(RunConfig(**SETTINGS)))
    untrained = probe(check(RunConfig(pretrained=False, **SETTINGS)))
    assert trained.model == "vit_micro_patch8_32" and trained.parameters == untrained.parameters == 1_285_440
    assert trained.linear > 0.9 and trained.nearest_neighbor > untrained.nearest_neighbor


def test_the_command_writes_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--options", *FEW]
    assert main(["probe", "--dataset", "glyphs", *options, "--out", str(tmp_path / "table.csv")]) == 0
    (row,) = pd.read_csv(tmp_path / "table.csv").to_dict("records")
    assert row["model"] == "vit_micro_patch8_32" and f"{row['linear']:.1%}" in capsys.readouterr().out


def test_small_crops_are_recognized_less_often(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--options", "num_classes=8", "train_per_class=10", "test_per_class=10"]
    assert main(["probe", *options, "--crops", "1", "0.02", "--out", str(tmp_path / "table.csv")]) == 0
    (row,) = pd.read_csv(tmp_path / "table.csv").to_dict("records")
    assert "linear, crops from 2%" in " ".join(capsys.readouterr().out.split())
    assert row["linear_on_crops_0.02"] < row["linear_on_crops_1"] <= row["linear"] + 0.1
    assert "linear_on_crops" not in row


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--crops", "1.5"], "--crops 1.5: give a fraction of the image's area in (0, 1]"),
        (["--crops", "0"], "--crops 0: give a fraction of the image's area in (0, 1]"),
        (["--models", "vit_micro_patch8_32="], "give the file of the weights after ="),
        (["--models"], "nothing to compare"),
        (["--options", "num_classes=1"], "photos has one class: a probe needs at least two"),
        (["--out", "."], "--out . is a folder: name a file"),
        (["--imports", "no_such_module"], "--imports no_such_module can't be imported"),
    ],
)
def test_what_cannot_be_probed_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", *words]) == 2
    printed = capsys.readouterr().err
    assert message in printed and len(printed.splitlines()) == 1


def test_a_file_of_weights_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--options", "num_classes=3", "train_per_class=3", "test_per_class=2"]
    models = ["vit_mini_patch16_64", f"vit_mini_patch16_64={MINI_VIT.weights}"]
    assert main(["probe", *options, "--models", *models, "--out", str(tmp_path / "table.csv")]) == 0
    assert "vit_mini_patch16_64 = vit_mini_patch16_64.safetensors" in capsys.readouterr().out
    named, read = pd.read_csv(tmp_path / "table.csv", keep_default_na=False).to_dict("records")
    assert (named["weights"], read["weights"]) == ("", "vit_mini_patch16_64.safetensors")
    assert named["linear"] == read["linear"] and named["input_size"] == 64 and named["dataset"] == "photos"


def test_unknown_names_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "--models", "vit_micro_patch8_33"]) == 2
    assert "vit_micro_patch8_33" in capsys.readouterr().err
    assert main(["probe", "--dataset", "foto"]) == 2
    assert "did you mean 'photos'" in capsys.readouterr().err

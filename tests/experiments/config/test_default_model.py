"""`--model auto`, the default: the model that the dataset's card names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cls_env import DATASETS
from experiments.__main__ import main
from experiments.comparisons.entries import objective_entries
from experiments.config.settings import CompareConfig, RunConfig
from experiments.config.validation import check

MODULE = """
from cls_env import load_dataset, register_dataset

register_dataset("my-photos", lambda: load_dataset("photos", num_classes=5), model="test_vit")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "my_module_of_photos.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_module_of_photos"
    DATASETS.pop("my-photos", None)


def test_photographs_and_characters_have_models_of_their_own() -> None:
    assert RunConfig(dataset="photos").model == "vit_mini_patch16_64"
    assert RunConfig().model == RunConfig(dataset="digits").model == "vit_micro_patch8_32"
    assert RunConfig(dataset="photos", model="test_vit").model == "test_vit"


def test_one_that_is_set_and_the_usual_one_are_the_same_run() -> None:
    named = RunConfig(dataset="photos", model="vit_mini_patch16_64")
    assert named == RunConfig(dataset="photos") and named.name == RunConfig(dataset="photos").name


def test_a_comparison_takes_the_model_of_its_dataset() -> None:
    config = replace(CompareConfig(), dataset="photos")
    assert config.model == "auto" and config.backbone == "vit_mini_patch16_64"
    assert {entry.config.model for entry in objective_entries(config)} == {"vit_mini_patch16_64"}


def test_the_command_takes_the_model_of_its_dataset(tmp_path: Path) -> None:
    few = "--options num_classes=4 train_per_class=2 test_per_class=1 --num-tasks 2 --epochs 1 --batch-size 4"
    assert main(["run", "--dataset", "photos", *few.split(), "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "config.json").read_text())["model"] == "vit_mini_patch16_64"


def test_an_import_may_register_the_dataset(module: str) -> None:
    config = RunConfig(dataset="my-photos", imports=(module,))
    assert config.model == "test_vit" and check(config).view.size == 160


def test_an_unknown_dataset_is_refused_when_it_is_checked() -> None:
    config = RunConfig(dataset="foto")
    assert config.model == "auto"
    with pytest.raises(ValueError, match="did you mean 'photos'"):
        check(config)

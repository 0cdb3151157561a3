"""Pretraining on photographs."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from agents.networks.backbone import create_backbone
from experiments.__main__ import main
from experiments.config.pretraining import PretrainConfig
from experiments.pretraining import photographs as module
from experiments.pretraining.photographs import pretrain
from tests.cls_env.datasets.loaders.test_archive_sets import tiny_imagenet
from tests.full_disk import files_of_at_most


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red and blue images with noise, 24 for training and 6 for testing of each color."""
    root, rng = tmp_path_factory.mktemp("images") / "colors", np.random.default_rng(0)
    for split, count in (("train", 24), ("test", 6)):
        for channel, name in ((0, "red"), (2, "blue")):
            place = root / split / name
            place.mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 100, (40, 40, 3), dtype=np.uint8)
                pixels[..., channel] += 150
                Image.fromarray(pixels).save(place / f"{index}.png")
    return root


def config(folder: Path, out: Path, **changes: object) -> PretrainConfig:
    return PretrainConfig(images=folder, out=out, **{"epochs": 6, "batch_size": 8, "threads": 1, **changes})


def test_weights_and_card_are_written_and_fit_the_model(folder: Path, tmp_path: Path) -> None:
    card = pretrain(config(folder, tmp_path, average_decay=0.9))
    assert json.loads((tmp_path / "vit_mini_patch16_64.json").read_text()) == card
    assert (
        card["command"] == "cls-env pretrain --images colors --epochs 6 --batch-size 8 --average-decay 0.9 --threads 1"
    )
    assert card["classes"] == 2 and card["test_images"] == 12 and card["test_accuracy"] > 0.9
    file = tmp_path / "vit_mini_patch16_64.safetensors"
    backbone = create_backbone("vit_mini_patch16_64", False, (64, 64), seed=0, weights=str(file))
    assert backbone(torch.zeros(1, 3, 64, 64)).shape == (1, 192)


def test_a_stopped_run_goes_on_to_the_same_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pretrain(config(folder, tmp_path / "whole", epochs=3))
    tested, accuracy = [], module.accuracy

    def stopped(*arguments: object) -> float:
        tested.append(accuracy(*arguments))
        if len(tested) == 2:
            raise KeyboardInterrupt
        return tested[-1]

    monkeypatch.setattr(module, "accuracy", stopped)
    settings = config(folder, tmp_path / "part", epochs=3)
    with pytest.raises(KeyboardInterrupt):
        pretrain(settings)
    assert not list((tmp_path / "part").glob("*.safetensors"))
    monkeypatch.setattr(module, "accuracy", accuracy)
    assert pretrain(settings)["sha256"] == whole["sha256"]
    with pytest.raises(ValueError, match="belongs to another run, with epochs 3 in place of 4"):
        pretrain(replace(settings, epochs=4))


def test_a_damaged_checkpoint_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="remove it to begin anew"):
        pretrain(config(folder, tmp_path))


def test_images_grow_and_crops_depend_on_the_epoch(folder: Path) -> None:
    settings, dataset = config(folder, Path("unused")), module.photographs(folder, 64)
    first, again, later = (
        next(module._batches(dataset, side, epoch, settings)) for side, epoch in ((48, 0), (48, 0), (64, 1))
    )
    assert torch.equal(first[0], again[0]) and first[0].shape == (8, 3, 48, 48) and later[0].shape == (8, 3, 64, 64)
    assert not torch.equal(first[1], later[1]) or not torch.equal(first[0][:, :, :8, :8], later[0][:, :, :8, :8])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"batch_size": 49}, "has 48 training images, less than a batch of 49: give a smaller --batch-size"),
        ({"smallest_crop": 0.0}, "smallest_crop must be positive"),
        ({"model": "vit_mini_patch16_64.nonsense"}, "vit_mini_patch16_64.nonsense"),
        ({"smallest_crop": 2.0}, r"smallest_crop must be in \[0, 1\], not 2"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"optimizer": "adamx"}, "adamx"),
        ({"model": "vit_mini_patch16_65"}, "vit_mini_patch16_65"),
        ({"model": "test_resnet"}, "test_resnet is no VisionTransformer of timm"),
    ],
)
def test_wrong_settings_are_refused(folder: Path, tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pretrain(config(folder, tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()


def test_training_that_diverges_writes_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="training diverged; give a smaller --learning-rate"):
        pretrain(config(folder, tmp_path, learning_rate=1e30, optimizer="adamw", epochs=2))
    assert not list(tmp_path.glob("*.safetensors"))


def test_the_command_needs_images(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["pretrain"])
    assert "--images" in capsys.readouterr().err
    assert main(["pretrain", "--images", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_model_is_a_plain_vit_of_timm() -> None:
    model = timm.create_model("vit_mini_patch16_64", dynamic_img_size=True)
    assert model(torch.zeros(1, 3, 48, 48)).shape == (1, 200)


def test_other_models_are_shown_what_they_take(folder: Path, tmp_path: Path) -> None:
    settings = config(folder, tmp_path, epochs=2, model="vit_tiny_patch16_224", batch_size=48)
    inputs = module.ModelInputs.of(timm.create_model("vit_tiny_patch16_224"))
    assert inputs.small == 160 and inputs.stored == 248 and inputs.crop_fraction == 0.9
    assert inputs.mean == (0.5, 0.5, 0.5) and module.ModelInputs.of(timm.create_model("test_vit")).std[0] == 0.5
    assert pretrain(settings)["config"]["model"] == "vit_tiny_patch16_224"


def test_changed_images_are_another_run(folder: Path, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(folder, tmp_path / "tree"))
    pretrain(config(tree, tmp_path / "out", epochs=1))
    moved = tree.rename(tmp_path / "moved")
    pretrain(config(moved, tmp_path / "out", epochs=1))
    (moved / "train" / "red" / "0.png").unlink()
    with pytest.raises(ValueError, match="belongs to another run, with images_sha256"):
        pretrain(config(moved, tmp_path / "out", epochs=1))


def test_weights_of_another_training_are_not_overwritten(folder: Path, tmp_path: Path) -> None:
    pretrain(config(folder, tmp_path, epochs=1))
    weights = tmp_path / "vit_mini_patch16_64.safetensors"
    before = weights.read_bytes()
    (tmp_path / "checkpoint.pt").unlink()
    with pytest.raises(ValueError, match="is there already, from training with other settings: choose another --out"):
        pretrain(config(folder, tmp_path, epochs=2))
    assert weights.read_bytes() == before
    pretrain(config(folder, tmp_path, epochs=1))
    assert weights.read_bytes() == before


@pytest.mark.parametrize("packed", [False, True])
def test_tiny_imagenet_under_any_name(packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tiny_imagenet(tmp_path).rename(tmp_path / "mine")
    if packed:
        place = Path(shutil.make_archive(str(place), "zip", tmp_path, place.name))
    else:
        monkeypatch.chdir(place)
    dataset = module.photographs(place if packed else Path(), 64)
    assert dataset.name == "tiny-imagenet" and len(dataset.test_labels) == 4


def test_a_full_disk_is_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--images", str(folder), "--out", str(tmp_path / "out"), "--epochs", "1", "--batch-size", "8"]
    with files_of_at_most(20_000):
        assert main(["pretrain", *words, "--threads", "1"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert str(tmp_path / "out") in line
    assert not [file for file in (tmp_path / "out").rglob("*") if file.suffix == ".safetensors"]

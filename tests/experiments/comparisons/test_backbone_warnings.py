"""Photographs seen through the backbone of characters, and images on which a backbone was pretrained."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.networks.embedded_vits import MICRO_VIT
from experiments.__main__ import main
from experiments.comparisons.backbone_warnings import FOR_PHOTOGRAPHS, backbone_warning
from experiments.config.settings import RunConfig
from experiments.presets import PRESETS


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"dataset": "cifar10", "model": MICRO_VIT.name}, True),
        ({"dataset": "folder", "root": "flowers", "model": MICRO_VIT.name}, True),
        ({"dataset": "folder", "root": "flowers"}, False),
        ({"dataset": "cifar10"}, False),
        ({"dataset": "cifar10", "model": "vit_micro_patch8_32.glyphs"}, True),
        ({"dataset": "glyphs"}, False),
        ({"dataset": "omniglot"}, False),
        ({"dataset": "cifar10", "model": MICRO_VIT.name, "pretrained": False}, False),
        ({"dataset": "cifar10", "model": MICRO_VIT.name, "weights": "own.safetensors"}, False),
        ({"dataset": "cifar10", "model": FOR_PHOTOGRAPHS}, False),
        ({"dataset": "no_such_set"}, False),
    ],
)
def test_photographs_are_warned_of(settings: dict[str, object], warned: bool) -> None:
    warning = backbone_warning(RunConfig(**settings))
    assert (warning is not None) == warned
    assert warning is None or f"--model {FOR_PHOTOGRAPHS}" in warning


def test_images_of_the_pretraining_are_warned_of() -> None:
    warning = backbone_warning(RunConfig(dataset="tiny-imagenet"))
    assert warning is not None and "vit_mini_patch16_64 was pretrained on tiny-imagenet itself" in warning
    assert backbone_warning(RunConfig(dataset="tiny-imagenet", pretrained=False)) is None


def test_no_preset_is_warned_of() -> None:
    assert all(backbone_warning(RunConfig(**_stream(preset.config))) is None for preset in PRESETS.values())


def _stream(config: object) -> dict[str, object]:
    return {name: getattr(config, name) for name in ("dataset", "model", "pretrained", "weights")}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("command", ["run", "compare", "rl", "bounds"])
def test_commands_print_one_line_of_warning(command: str, image_zip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = ["--dataset", "folder", "--root", str(image_zip), "--num-tasks", "2", "--model", MICRO_VIT.name]
    assert main([command, *images, "--dry-run"]) == 0
    printed = capsys.readouterr().err
    assert printed.count("warning: vit_micro_patch8_32 was pretrained on drawn characters") == 1

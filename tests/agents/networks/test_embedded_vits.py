"""The embedded backbones and their cards."""

from __future__ import annotations

import hashlib
import json

import pytest
import timm
import torch

from agents.networks.embedded_vits import MICRO_VIT, MINI_VIT, ConvolutionalPatchEmbed, EmbeddedViT
from cls_env import DATASETS
from cls_env.datasets.glyphs.characters import characters
from experiments.pretraining.characters import test_accuracy as accuracy_on_fresh_glyphs


@pytest.mark.parametrize("vit", [MICRO_VIT, MINI_VIT], ids=lambda vit: vit.name)
def test_card_describes_the_weights_that_ship(vit: EmbeddedViT) -> None:
    card = json.loads(vit.card.read_text())
    assert vit.weights.stat().st_size < 6_000_000
    assert hashlib.sha256(vit.weights.read_bytes()).hexdigest() == card["sha256"]
    model = timm.create_model(vit.name, pretrained=True)
    assert sum(parameter.numel() for parameter in model.parameters()) == card["parameters"] < 3_000_000
    assert model.num_classes == card["classes"] == vit.classes
    assert model(torch.zeros(1, 3, vit.image_size, vit.image_size)).shape == (1, vit.classes)


@pytest.mark.long
def test_characters_are_recognized_as_the_card_says() -> None:
    card = json.loads(MICRO_VIT.card.read_text())
    pool = characters()["pretraining"]
    assert hashlib.sha256("".join(pool).encode()).hexdigest() == card["characters_sha256"]
    model = timm.create_model(MICRO_VIT.name, pretrained=True)
    assert accuracy_on_fresh_glyphs(model, pool, 4, seed=99) == pytest.approx(card["test_accuracy"], abs=0.03)


def test_embedded_datasets_name_the_backbone_that_knows_them() -> None:
    assert DATASETS["glyphs"].model == DATASETS["digits"].model == MICRO_VIT.name
    assert DATASETS["photos"].model == MINI_VIT.name


@pytest.mark.parametrize("patch", [2, 8, 16])
def test_convolutions_give_one_token_a_patch(patch: int) -> None:
    embed = ConvolutionalPatchEmbed(img_size=32, patch_size=patch, embed_dim=64)
    assert embed(torch.zeros(2, 3, 32, 32)).shape == (2, (32 // patch) ** 2, 64)


@pytest.mark.parametrize("patch", [1, 6, 14])
def test_patches_that_are_no_power_of_two_are_refused(patch: int) -> None:
    with pytest.raises(ValueError, match=f"patch_size must be a power of 2, not {patch}"):
        ConvolutionalPatchEmbed(patch_size=patch)

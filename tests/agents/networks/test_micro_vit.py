"""The embedded backbone and its card."""

from __future__ import annotations

import hashlib
import json

import pytest
import timm

from agents.networks.micro_vit import MICRO_VIT, MICRO_VIT_CARD, MICRO_VIT_WEIGHTS
from cls_env.datasets.glyphs.characters import characters
from experiments.pretrain import test_accuracy as accuracy_on_fresh_glyphs

pytestmark = pytest.mark.long


def test_card_describes_the_weights_that_ship() -> None:
    card = json.loads(MICRO_VIT_CARD.read_text())
    assert MICRO_VIT_WEIGHTS.stat().st_size < 4_000_000
    assert hashlib.sha256(MICRO_VIT_WEIGHTS.read_bytes()).hexdigest() == card["sha256"]
    pool = characters()["pretraining"]
    assert hashlib.sha256("".join(pool).encode()).hexdigest() == card["characters_sha256"]
    model = timm.create_model(MICRO_VIT, pretrained=True)
    assert sum(parameter.numel() for parameter in model.parameters()) == card["parameters"]
    assert accuracy_on_fresh_glyphs(model, pool, 4, seed=99) == pytest.approx(card["test_accuracy"], abs=0.03)

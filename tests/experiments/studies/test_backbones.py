from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from experiments.studies.backbones import BACKBONES, BackbonesConfig, backbone_settings, conditions
from experiments.studies.length import LENGTH, LengthConfig
from experiments.studies.study import with_settings


def test_backbones_are_named_with_their_weights() -> None:
    assert backbone_settings("vit_micro_patch8_32") == {"model": "vit_micro_patch8_32"}
    assert backbone_settings("random") == {"model": "auto", "pretrained": False}
    with pytest.raises(ValueError, match="--backbones vit_tiny_patch16_224=: give the file of the weights after ="):
        backbone_settings("vit_tiny_patch16_224=")


def test_random_weights_are_those_of_the_datasets_backbone() -> None:
    entries = BACKBONES.entries(BackbonesConfig(seeds=(0,)))
    models = {entry.condition.partition(",")[0]: (entry.config.model, entry.config.pretrained) for entry in entries}
    assert models == {
        "random": ("vit_mini_patch16_64", False),
        "vit_micro_patch8_32": ("vit_micro_patch8_32", True),
        "vit_mini_patch16_64": ("vit_mini_patch16_64", True),
    }


def test_each_backbone_is_compared_with_the_next_weaker_one(tmp_path: Path) -> None:
    config = BackbonesConfig(rates=(1e-3,), label_noise=(0.0, 0.2), seeds=(0, 1))
    tuning = BACKBONES.entries(config)
    rows = [{"condition": entry.condition, "contender": entry.contender, "seed": 100} for entry in tuning]
    runs = with_settings(pd.DataFrame(rows).assign(validation_accuracy=0.5), tuning)
    own = BACKBONES.follow_up(config, runs)
    entries = own.entries(config)
    assert len(entries) == 3 * 2 * 3 * 2 and {entry.config.learning_rate for entry in entries} == {1e-3}
    finished = pd.DataFrame(
        [
            {"condition": entry.condition, "contender": entry.contender, "seed": entry.config.seed}
            | {"final_accuracy": 0.01 * place}
            for place, entry in enumerate(entries)
        ]
    )
    table = own.tables(finished)["stronger_backbones"]
    pairs = list(zip(table["condition"], table["compared with"], strict=True))[::2]
    names = list(conditions(config))
    assert pairs == [(names[2], names[0]), (names[3], names[1]), (names[4], names[2]), (names[5], names[3])]


def test_length_varies_tasks_and_epochs_alone() -> None:
    entries = LENGTH.entries(LengthConfig(seeds=(0,), objectives=("ce",)))
    assert [(entry.config.num_tasks, entry.config.epochs) for entry in entries] == [
        (tasks, epochs) for tasks in (5, 10, 20) for epochs in (10, 20, 50)
    ]
    assert len({(entry.config.learning_rate, entry.config.dataset, entry.config.seed) for entry in entries}) == 1

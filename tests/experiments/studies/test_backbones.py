from __future__ import annotations

import pandas as pd
import pytest

from experiments.studies.backbones import BACKBONES, BackbonesConfig, backbone_settings, conditions
from experiments.studies.length import LENGTH, LengthConfig
from experiments.studies.study import with_settings


def test_backbones_are_named_with_their_weights() -> None:
    assert backbone_settings("vit_micro_patch8_32") == {"model": "vit_micro_patch8_32"}
    assert backbone_settings("vit_micro_patch8_32=random") == {"model": "vit_micro_patch8_32", "pretrained": False}
    with pytest.raises(ValueError, match="--backbones vit_tiny_patch16_224=: give the file of the weights after ="):
        backbone_settings("vit_tiny_patch16_224=")


def test_two_files_of_one_model_are_two_backbones() -> None:
    config = BackbonesConfig(backbones=("test_vit=a/one.safetensors", "test_vit=b/two.safetensors"))
    assert list(conditions(config)) == [
        "test_vit=one.safetensors, 0% label noise",
        "test_vit=two.safetensors, 0% label noise",
    ]
    with pytest.raises(ValueError, match="'test_vit, 0% label noise' is given twice"):
        conditions(BackbonesConfig(backbones=("test_vit", "test_vit")))
    with pytest.raises(ValueError, match="--no-pretrained: name backbones as NAME=random"):
        BACKBONES.entries(BackbonesConfig(pretrained=False))


def test_each_backbone_is_compared_with_the_one_before() -> None:
    config = BackbonesConfig(rates=(1e-3,), label_noise=(0.0, 0.2), seeds=(0, 1))
    tuning = BACKBONES.entries(config)
    rows = [{"condition": entry.condition, "contender": entry.contender, "seed": 100} for entry in tuning]
    runs = with_settings(pd.DataFrame(rows).assign(validation_accuracy=0.5), tuning)
    own = BACKBONES.follow_up(config, runs)
    entries = own.entries(config)
    assert len(entries) == 4 * 2 * 3 * 2 and {entry.config.learning_rate for entry in entries} == {1e-3}
    finished = pd.DataFrame(
        [
            {"condition": entry.condition, "contender": entry.contender, "seed": entry.config.seed}
            | {"final_accuracy": 0.01 * place}
            for place, entry in enumerate(entries)
        ]
    )
    table = own.tables(finished)["other_backbones"]
    pairs = list(zip(table["condition"], table["other condition"], strict=True))[::2]
    names = list(conditions(config))
    assert pairs == [(names[place + 2], names[place]) for place in range(6)]


def test_length_varies_tasks_and_epochs_alone() -> None:
    entries = LENGTH.entries(LengthConfig(seeds=(0,), objectives=("ce",)))
    assert [(entry.config.num_tasks, entry.config.epochs) for entry in entries] == [
        (tasks, epochs) for tasks in (5, 10, 20) for epochs in (10, 20, 50)
    ]
    assert len({(entry.config.learning_rate, entry.config.dataset, entry.config.seed) for entry in entries}) == 1
    with pytest.raises(ValueError, match="'5 tasks of 10 epochs' is given twice"):
        LENGTH.entries(LengthConfig(lengths=(10, 10)))


def test_leads_are_compared_between_the_longest_and_the_shortest() -> None:
    entries = LENGTH.entries(LengthConfig(seeds=(0, 1)))
    rows = [
        {"condition": entry.condition, "contender": entry.contender, "seed": entry.config.seed}
        | {"final_accuracy": 0.001 * place}
        for place, entry in enumerate(entries)
    ]
    tables = LENGTH.tables(with_settings(pd.DataFrame(rows), entries))
    assert set(tables) == {"longer", "more_tasks"}
    assert tables["longer"]["condition"].unique().tolist() == [f"{tasks} tasks of 50 epochs" for tasks in (5, 10, 20)]
    assert set(tables["more_tasks"]["other condition"]) == {f"5 tasks of {epochs} epochs" for epochs in (10, 20, 50)}

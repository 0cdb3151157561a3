"""From a configuration to images, views and rates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cls_env import DATASETS
from experiments.building import augments, learning_rate, make_agent, make_stream, stored_size, task_images
from experiments.config import RunConfig
from experiments.results import RunFolder
from experiments.runner import run

VIT = "vit_base_patch16_224.augreg_in21k"


@pytest.fixture
def config(image_zip: Path) -> RunConfig:
    return RunConfig(
        dataset="folder", root=str(image_zip), num_tasks=2, epochs=1, batch_size=4, device="cpu", freeze_fraction=0.5
    )


@pytest.mark.parametrize(
    ("changes", "stored"),
    [
        ({"model": VIT, "dataset": "imagenet-r"}, 256),
        ({"model": VIT, "dataset": "imagenet-r", "input_size": 384}, 439),
        ({"model": VIT, "dataset": "cifar100"}, 32),
        ({"model": VIT, "dataset": "clrs25"}, 256),
        ({"dataset": "imagenet-r"}, 37),
        ({"dataset": "digits"}, 32),
        ({"dataset": "omniglot", "model": VIT}, 224),
        ({"dataset": "food101", "image_size": 100}, 100),
    ],
)
def test_images_are_stored_with_room_for_crops(changes: dict[str, object], stored: int) -> None:
    config = replace(RunConfig(), **changes)
    assert stored_size(config, DATASETS[config.dataset]) == stored


def test_photographs_are_augmented_and_characters_are_not() -> None:
    assert not augments(RunConfig()) and not augments(RunConfig(dataset="omniglot"))
    assert augments(RunConfig(dataset="cub200"))
    assert augments(RunConfig(augment=True)) and not augments(RunConfig(dataset="cub200", augment=False))


def test_rate_falls_at_its_milestones() -> None:
    rate = learning_rate(RunConfig(learning_rate=0.1, rate_milestones=(0.4, 0.6)))
    assert [rate(remaining) for remaining in (1.0, 0.7, 0.5, 0.1)] == pytest.approx([0.1, 0.1, 0.01, 0.001])
    assert learning_rate(RunConfig(learning_rate=0.1)) == 0.1


def test_settings_reach_the_agent(config: RunConfig) -> None:
    config = replace(
        config, optimizer="sgd", momentum=0.8, weight_decay=0.01, normalisation="none", crop_scale=(0.3, 0.9)
    )
    agent = make_agent(config, make_stream(config))
    assert agent.crop_scale == (0.3, 0.9) and not agent.cache_features
    assert agent.policy.config.normalisation == "none" and agent.policy.central_view.size == (32, 32)
    agent.learn(4)
    (group,) = agent.policy.optimizer.param_groups
    assert (group["momentum"], group["weight_decay"]) == (0.8, 0.01)
    plain = make_agent(replace(config, augment=False), make_stream(config))
    assert plain.crop_scale is None and plain.cache_features


def test_loader_options_are_read_from_words(image_tree: Path) -> None:
    config = RunConfig(
        dataset="folder", root=str(image_tree / "train"), options=("test_fraction=0.5", "resize=pad"), num_tasks=2
    )
    assert len(make_stream(config).dataset.test_images) == 12


def test_noise_matrix_is_read_from_a_file(config: RunConfig, tmp_path: Path) -> None:
    matrix = np.eye(4)
    matrix[0, :2] = 0.5
    np.savetxt(tmp_path / "noise.csv", matrix, delimiter=",")
    stream = make_stream(
        replace(config, noise_matrix=str(tmp_path / "noise.csv"), class_order=(0, 1, 2, 3), num_tasks=(2, 2))
    )
    wrong = stream.train_labels != stream.clean_train_labels
    assert wrong.sum() == 3 and set(stream.train_labels[wrong]) == {1}


def test_online_learns_whole_batches_of_one_pass(config: RunConfig) -> None:
    online = replace(config, scenario="online", batch_size=5)
    stream = make_stream(online)
    assert task_images(online, stream, 0) == 10  # of 12 images
    with pytest.raises(ValueError, match="12 images, less than a batch of 16; online none repeats"):
        task_images(replace(online, batch_size=16), stream, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"scenario": "online", "batch_size": 5},
        {"scenario": "task-incremental"},
        {"scenario": "domain-incremental", "num_tasks": None, "domains": ("identity", "rotate-90", "grey")},
        {"validation_fraction": 0.3, "imbalance_factor": 3.0, "max_per_class": 4},
        {"peft": "full", "optimizer": "sgd", "model": "test_resnet.r160_in1k", "pretrained": False, "input_size": 32},
        {"model": "test_vit.r160_in1k", "pretrained": False, "input_size": 48, "image_size": 40, "blocks": (0,)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_kind_of_run_ends_in_metrics(config: RunConfig, tmp_path: Path, changes: dict[str, object]) -> None:
    config = replace(config, **changes)
    metrics = run(config, RunFolder(tmp_path / "run"))
    assert 0 <= metrics["final_accuracy"] <= 1
    assert ("validation_accuracy" in metrics) == bool(config.validation_fraction)
    assert RunFolder(tmp_path / "run").read_matrix().shape[0] == len(make_stream(config).tasks)


def test_naming_the_task_at_test_can_only_help(config: RunConfig, tmp_path: Path) -> None:
    accuracies = {
        scenario: run(replace(config, scenario=scenario, epochs=4), RunFolder(tmp_path / scenario))["final_accuracy"]
        for scenario in ("class-incremental", "task-incremental")
    }
    assert accuracies["task-incremental"] >= accuracies["class-incremental"]


def test_interrupted_run_with_random_views_goes_on_to_the_same_end(config: RunConfig, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(count: int) -> None:
        seen.append(count)
        if sum(seen) > 16:
            raise Interrupted

    seen: list[int] = []
    config = replace(config, rate_milestones=(0.5,))
    whole, broken = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "broken")
    run(config, whole)
    with pytest.raises(Interrupted):
        run(config, broken, interrupt)
    run(config, broken)
    assert whole.read_steps()["train/loss"].equals(broken.read_steps()["train/loss"])

"""From a configuration to images, views and rates."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from experiments.comparisons.entries import bounds_entries, objective_entries
from experiments.config.builders import images_per_task, loader_options, stored_size
from experiments.config.resolved import learning_rate, make_agent, resolve
from experiments.config.settings import BoundsConfig, CompareConfig, RunConfig, shared_settings
from experiments.config.validation import CheckedRun, augments, check, configured_view
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run, validation_accuracies

pytestmark = pytest.mark.long

VIT = "vit_base_patch16_224.augreg_in21k"


@pytest.fixture
def config(image_zip: Path) -> RunConfig:
    return RunConfig(
        dataset="folder",
        root=str(image_zip),
        model="vit_micro_patch8_32",
        num_tasks=2,
        epochs=1,
        batch_size=4,
        device="cpu",
        freeze_fraction=0.5,
    )


def unchecked(config: RunConfig) -> CheckedRun:
    """A configuration with its view, whose weights and images need not exist."""
    return replace(check(RunConfig()), config=config, view=configured_view(config))


@pytest.mark.parametrize(
    ("changes", "stored"),
    [
        ({"model": VIT, "dataset": "imagenet-r"}, 248),
        ({"model": VIT, "dataset": "imagenet-r", "input_size": 384}, 426),
        ({"model": VIT, "dataset": "imagenet-r", "crop_fraction": 0.875}, 256),
        ({"model": VIT, "dataset": "imagenet-r", "weights": "w.npz"}, 248),
        ({"model": VIT, "dataset": "cifar100"}, 32),
        ({"model": VIT, "dataset": "clrs25"}, 248),
        ({"model": "vit_base_patch14_dinov2.lvd142m", "dataset": "imagenet-r"}, 518),
        ({"dataset": "imagenet-r"}, 32),
        ({"dataset": "caltech101", "crop_fraction": 0.875}, 36),
        ({"dataset": "digits"}, 32),
        ({"dataset": "omniglot", "model": VIT}, 224),
        ({"dataset": "imagenet-r", "model": VIT, "crop_fraction": 0.5}, 448),
        ({"dataset": "food101", "image_size": 100}, 100),
    ],
)
def test_images_are_stored_with_room_for_crops(changes: dict[str, object], stored: int) -> None:
    assert stored_size(unchecked(replace(RunConfig(), **changes))) == stored


def test_photographs_are_augmented_and_characters_are_not() -> None:
    assert not augments(RunConfig()) and not augments(RunConfig(dataset="omniglot"))
    assert augments(RunConfig(dataset="cub200"))
    assert augments(RunConfig(augment="yes")) and not augments(RunConfig(dataset="cub200", augment="no"))


def test_a_stored_photograph_needs_no_resizing_at_test_and_a_character_loses_no_margin(config: RunConfig) -> None:
    for fraction, seen in ((0.875, slice(2, 34)), (None, slice(0, 32))):
        photographs = replace(config, crop_fraction=fraction)
        agent = make_agent(run := resolve(photographs))
        images = torch.from_numpy(run.stream.dataset.test_images[:3].copy()).permute(0, 3, 1, 2)
        assert torch.equal(agent.policy.network.preprocessing.view(images), images[:, :, seen, seen] / 255)
    characters = replace(RunConfig(), input_size=48, model="vit_micro_patch8_32", device="cpu")
    agent = make_agent(resolve(characters))
    assert agent.policy.network.preprocessing.view.crop_fraction == 1.0


def test_images_are_resized_as_the_checkpoint_was_tested(config: RunConfig) -> None:
    bilinear = replace(config, model="dla34.in1k", peft="none", pretrained=False)
    for run_config, expected in (
        (config, "bicubic"),
        (bilinear, "bilinear"),
        (replace(bilinear, interpolation="bicubic"), "bicubic"),
    ):
        checked = check(run_config)
        assert loader_options(checked)["interpolation"] == resolve(checked).policy["interpolation"] == expected
    assert "interpolation" not in loader_options(check(replace(RunConfig(), interpolation="bilinear")))
    assert loader_options(check(replace(config, options=("interpolation=bilinear",))))["interpolation"] == "bilinear"
    with pytest.raises(ValueError, match="interpolation is given twice: as --interpolation and among --options"):
        loader_options(check(replace(config, options=("interpolation=bilinear",), interpolation="bilinear")))


def test_runs_have_the_images_of_before_the_margin() -> None:
    assert loader_options(check(RunConfig()))["margin"] == 0
    digits = resolve(RunConfig(dataset="digits", num_tasks=5, device="cpu")).stream.dataset
    assert digits.images_sha256 == "3310ca5ecd8fdf3fe8b5b3ee54caab1d47463f6db7afd629eb684919e7f1b71c"
    assert loader_options(check(RunConfig(options=("margin=1",))))["margin"] == 1


def test_rate_falls_at_its_milestones() -> None:
    rate = learning_rate(RunConfig(learning_rate=0.1, rate_milestones=(0.4, 0.6)))
    assert [rate(remaining) for remaining in (1.0, 0.7, 0.5, 0.1)] == pytest.approx([0.1, 0.1, 0.01, 0.001])
    assert learning_rate(RunConfig(learning_rate=0.1)) == 0.1


def test_settings_reach_the_agent(config: RunConfig) -> None:
    config = replace(
        config, optimizer="sgd", momentum=0.8, weight_decay=0.01, normalization="none", crop_scale=(0.3, 0.9)
    )
    agent = make_agent(resolve(config))
    assert agent.crop_scale == (0.3, 0.9) and not agent.cache_features
    assert agent.policy.config.normalization == "none" and agent.policy.network.preprocessing.view.size == (32, 32)
    agent.learn(4)
    (group,) = agent.policy.optimizer.param_groups
    assert (group["momentum"], group["weight_decay"]) == (0.8, 0.01)
    plain = make_agent(resolve(replace(config, augment="no")))
    assert plain.crop_scale is None and plain.cache_features


def test_loader_options_are_read_from_words(image_tree: Path) -> None:
    config = RunConfig(
        dataset="folder", root=str(image_tree / "train"), options=("test_fraction=0.5", "resize=pad"), num_tasks=2
    )
    assert len(resolve(config).stream.dataset.test_images) == 12


def test_noise_matrix_is_read_from_a_file(config: RunConfig, tmp_path: Path) -> None:
    matrix = np.eye(4)
    matrix[0, :2] = 0.5
    np.savetxt(tmp_path / "noise.csv", matrix, delimiter=",")
    noisy = replace(config, noise_matrix=str(tmp_path / "noise.csv"), class_order=(0, 1, 2, 3), num_tasks=(2, 2))
    stream = resolve(noisy).stream
    wrong = stream.train_labels != stream.clean_train_labels
    assert wrong.sum() == 3 and set(stream.train_labels[wrong]) == {1}


def test_noise_matrix_is_not_unpacked(config: RunConfig, tmp_path: Path) -> None:
    file = tmp_path / "noise.csv.gz"
    file.write_bytes(gzip.compress(b"1,0\n0,1\n"))
    with pytest.raises(ValueError, match=r"noise\.csv\.gz can't be read as K lines of K numbers"):
        resolve(replace(config, noise_matrix=str(file)))


def test_online_learns_whole_batches_of_one_pass(config: RunConfig) -> None:
    online = replace(config, scenario="online", batch_size=5)
    run = resolve(online)
    assert run.images_per_task == (10, 10)  # of 12 images each
    with pytest.raises(ValueError, match="12 images, less than a batch of 16; online none repeats"):
        images_per_task(check(replace(online, batch_size=16)), run.stream)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"scenario": "online", "batch_size": 5},
        {"scenario": "task-incremental"},
        {"scenario": "domain-incremental", "num_tasks": None, "domains": ("identity", "rotate-90", "grey")},
        {"validation_fraction": 0.3, "imbalance_factor": 3.0, "max_per_class": 4, "early_stopping": True},
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
    assert RunFolder(tmp_path / "run").read_matrix().shape[0] == len(resolve(config).stream.tasks)


def test_where_the_task_is_named_choices_stay_within_it(config: RunConfig, tmp_path: Path) -> None:
    strays = {}
    for scenario in ("class-incremental", "task-incremental"):
        run(replace(config, scenario=scenario), RunFolder(tmp_path / scenario))
        answers = RunFolder(tmp_path / scenario).read_predictions("after_task_1")
        strays[scenario] = int((answers["predictions"] // 2 != answers["task"]).sum())
    assert strays["class-incremental"] > strays["task-incremental"] == 0


def test_validation_accuracy_is_that_of_the_images_held_out(config: RunConfig) -> None:
    config = replace(config, validation_fraction=0.5, num_tasks=1, label_noise=0.25)
    stream = (resolved := resolve(config)).stream
    agent = make_agent(resolved).learn(12)
    rows = stream.tasks[0].validation_indices
    chosen, _ = agent.predict(stream.dataset.train_images[rows], deterministic=True)
    expected = {
        "validation_accuracy": (chosen == stream.train_labels[rows]).mean(),
        "validation_accuracy_clean": (chosen == stream.clean_train_labels[rows]).mean(),
    }
    assert (stream.train_labels[rows] != stream.clean_train_labels[rows]).sum() == 3
    assert len(rows) == 12 and validation_accuracies(agent, stream, len(stream.tasks)) == pytest.approx(expected)


def test_early_stopping_needs_held_out_images(config: RunConfig) -> None:
    with pytest.raises(ValueError, match=r"--early-stopping .* held-out images: give --validation-fraction"):
        resolve(replace(config, early_stopping=True))


def test_bounds_differ_in_their_weights_and_tasks(config: RunConfig, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    backbone = timm.create_model("vit_micro_patch8_32", pretrained=True, num_classes=0)
    save_file({name: 2 * tensor for name, tensor in backbone.state_dict().items()}, weights)
    settings = shared_settings(replace(config, weights=str(weights), num_tasks=None, init_classes=2, increment=1))
    entries = bounds_entries(BoundsConfig(seeds=(0,), **settings))
    runs = {entry.contender: resolve(entry.checked) for entry in entries}
    agents = {name: make_agent(run) for name, run in runs.items()}
    hashes = {name: agent.policy.backbone_hash for name, agent in agents.items()}
    assert hashes["sequential"] == hashes["joint"] != hashes["frozen random"]
    assert [len(run.stream.tasks) for run in runs.values()] == [3, 1, 3]


@pytest.mark.parametrize("changes", [{"scenario": "online", "epochs": 1}, {"num_tasks": 1}, {"noise_matrix": "m.csv"}])
def test_bounds_of_other_streams_are_refused(config: RunConfig, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="bounds are those of class-incremental learning of several tasks"):
        bounds_entries(BoundsConfig(seeds=(0,), **shared_settings(replace(config, **changes))))


def test_matrix_noise_is_one_condition_under_its_own_name(config: RunConfig) -> None:
    settings = shared_settings(replace(config, noise_matrix="m.csv"))
    entries = objective_entries(CompareConfig(objectives=("ce",), seeds=(0,), **settings))
    assert [entry.condition for entry in entries] == ["label noise by matrix"]
    assert [entry.config.label_noise for entry in entries] == [0.0]


def test_card_tells_what_is_seen_and_what_the_loader_was_given(config: RunConfig, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    run(replace(config, crop_fraction=0.875), folder)
    card = json.loads((folder.path / "protocol.json").read_text())
    assert card["views"]["stored"] == [36, 36] and card["views"]["seen"] == [32, 32]
    assert card["views"]["central_crop_fraction"] == 0.875 and card["views"]["interpolation"] == "bicubic"
    assert card["views"]["random_crop_scale"] == [0.05, 1.0] and card["views"]["random_flip"] == 0.5
    assert card["loader"]["resize"] == "crop" and card["loader"]["image_size"] == 36
    assert card["weights"]["pretrained"] and card["weights"]["file"] is None
    assert card["parameters"]["head"] == 4 * 129 and card["versions"]["torchvision"]


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

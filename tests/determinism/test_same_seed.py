"""The same seed gives the same run: of each kind of learner, whatever ran before it, and whatever is tested between."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents import EPG
from cls_env import ImageDataset
from experiments.config.resolved import resolve
from experiments.config.settings import RunConfig
from experiments.rl.config import RlConfig, algorithm_entries
from experiments.rl.runner import run_algorithm
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run, run_owned

pytestmark = pytest.mark.long

SMALL: dict[str, Any] = {
    "options": ("num_classes=4", "train_per_class=8", "test_per_class=4"),
    "num_tasks": 2,
    "epochs": 2,
    "batch_size": 8,
    "model": "test_vit",
    "pretrained": False,
    "blocks": (0, 1),
    "device": "cpu",
}
OF_THE_MACHINE = {"seconds", "images_per_second", "peak_memory_bytes", "training_seconds"}


def results(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name not in OF_THE_MACHINE}


def state(folder: RunFolder) -> dict[str, torch.Tensor]:
    return EPG.load(folder.model, device="cpu").policy.state_dict()


def disturb_random_numbers() -> None:
    """Draw from the global generators, which no result may depend on."""
    np.random.rand(5)  # noqa: NPY002
    torch.rand(5)


@pytest.mark.parametrize("algorithm", ["reinforce", "ppo", "boltzmann", "thompson"])
def test_an_algorithm_repeats_itself(algorithm: str, tmp_path: Path) -> None:
    (entry,) = algorithm_entries(RlConfig(algorithms=(algorithm,), seeds=(1,), **SMALL))
    first = run_algorithm(entry.config, RunFolder(tmp_path / "first"))
    disturb_random_numbers()
    second = run_algorithm(entry.config, RunFolder(tmp_path / "second"))
    assert results(first) == results(second)


@pytest.mark.parametrize("method", ["sequential", "der++", "coda-prompt:components=10"])
def test_a_run_with_crops_and_early_stopping_repeats_itself(method: str, tmp_path: Path) -> None:
    peft = "none" if method.startswith("coda") else "lora"
    config = RunConfig(
        **SMALL,
        method=method,
        peft=peft,
        augment="yes",
        validation_fraction=0.25,
        early_stopping=True,
        label_noise=0.25,
    )
    folders = [RunFolder(tmp_path / name) for name in ("first", "second")]
    first = run(config, folders[0])
    disturb_random_numbers()
    assert results(first) == results(run(config, folders[1]))
    states = [state(folder) for folder in folders]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def test_further_tests_and_other_test_images_leave_the_trained_agent_as_it_is(tmp_path: Path) -> None:
    config = RunConfig(**SMALL)
    resolved = resolve(config)
    dataset: ImageDataset = resolved.stream.dataset
    noise = np.random.default_rng(0).integers(256, size=dataset.test_images.shape, dtype=np.uint8)
    more_tests = replace(config, test_before_tasks=True, label_fit=True)
    poisoned = resolve(more_tests, replace(dataset, test_images=noise))
    one, other = RunFolder(tmp_path / "one"), RunFolder(tmp_path / "other")
    run_owned(resolved, one)
    run_owned(poisoned, other)
    states = [state(folder) for folder in (one, other)]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())

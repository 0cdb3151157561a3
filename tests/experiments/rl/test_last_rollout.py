"""All algorithms act on equally many images, at any number of epochs."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.rl.config import RlConfig, algorithm_entries
from experiments.rl.runner import run_algorithm
from experiments.runs.run_folder import RunFolder
from tests.agents.policies import TINY

pytestmark = pytest.mark.long

ALGORITHMS = ("epg", "ppo:n_steps=5", "a2c:n_steps=2", "dqn:train_freq=4", "dqn")
UPDATES = {"epg": 6, "ppo:n_steps=5": 24, "a2c:n_steps=2": 4, "dqn:train_freq=4": 2, "dqn": 6}
"""Gradient steps for two tasks of three batches: PPO goes four times over each batch."""


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_epoch_has_as_many_images_for_all(algorithm: str, tmp_path: Path) -> None:
    options = ("num_classes=4", "train_per_class=10", "test_per_class=2")
    config = RlConfig(algorithms=(algorithm,), seeds=(0,), options=options, num_tasks=2, batch_size=8, epochs=1, **TINY)
    (entry,) = algorithm_entries(config)
    images: list[int] = []
    metrics = run_algorithm(entry.config, RunFolder(tmp_path / "run"), images.append)  # type: ignore[arg-type]
    assert metrics["env_steps"] == sum(images) == 2 * 24
    assert metrics["gradient_steps"] == UPDATES[algorithm]

"""stable-baselines3's own networks on the embedded sets, named by their ids alone."""

from __future__ import annotations

from typing import Any

import pytest
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm

import cls_env  # noqa: F401  # registers the environments

pytestmark = pytest.mark.long

SHORT: dict[type[BaseAlgorithm], dict[str, Any]] = {
    PPO: {"n_steps": 8, "batch_size": 8, "n_epochs": 1},
    A2C: {"n_steps": 4},
    DQN: {"buffer_size": 16, "learning_starts": 4, "batch_size": 4},
}


@pytest.mark.parametrize("algorithm", SHORT)
@pytest.mark.parametrize("name", ["cls_env/SplitGlyphs-v0", "cls_env/SplitDigits-v0", "cls_env/ClassIncremental-v0"])
def test_the_first_line_works(name: str, algorithm: type[BaseAlgorithm]) -> None:
    model = algorithm("CnnPolicy", name, device="cpu", seed=0, **SHORT[algorithm]).learn(8)
    assert model.num_timesteps == 8
    image = model.get_env().reset()
    assert model.action_space.contains(model.predict(image)[0][0])

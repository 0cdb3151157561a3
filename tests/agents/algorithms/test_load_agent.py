"""A saved agent is loaded without naming its class."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from agents import EPG, LinearBandit, Reinforce, ValueBandit, load_agent
from agents.checkpoint.archive import read_json
from tests.agents.algorithms.conftest import rewritten

MakeVec = Callable[..., gym.vector.VectorEnv]


@pytest.mark.parametrize("algorithm", [EPG, Reinforce, ValueBandit, LinearBandit])
def test_the_file_says_which_algorithm_it_is(algorithm: type[EPG], make_vec: MakeVec, tmp_path: Path) -> None:
    env = make_vec(8)
    saved = algorithm("ViTPolicy", env, batch_size=8, seed=0, device="cpu").learn(8)
    saved.save(tmp_path / "agent.zip")
    loaded = load_agent(tmp_path / "agent.zip", device="cpu")
    assert type(loaded) is algorithm and loaded.class_names == saved.class_names
    images, _ = env.reset(seed=0)
    answers = [agent.predict(images, deterministic=True)[0] for agent in (loaded, saved)]
    assert np.array_equal(*answers)


def test_an_unknown_algorithm_is_named(make_vec: MakeVec, tmp_path: Path) -> None:
    EPG("ViTPolicy", make_vec(8), batch_size=8, device="cpu").save(tmp_path / "agent.zip")
    description = read_json(tmp_path / "agent.zip", "model.json") | {"algorithm": "Reinforces"}
    other = rewritten(tmp_path / "agent.zip", tmp_path / "other.zip", {"model.json": json.dumps(description).encode()})
    with pytest.raises(ValueError, match="did you mean 'Reinforce'"):
        load_agent(other)

"""`get_parameters` and `set_parameters` of an agent that learned the same classes; others are one line."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pytest
import torch

from agents import EPG, LinearBandit

MakeVec = Callable[..., gym.vector.VectorEnv]
ALIKE: dict[str, Any] = {"batch_size": 8, "seed": 0, "device": "cpu"}


def test_back_to_a_snapshot(make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), "ce", **ALIKE).learn(8)
    before = copy.deepcopy(agent.get_parameters())
    agent.learn(16).set_parameters(before)
    assert all(torch.equal(tensor, before["policy"][name]) for name, tensor in agent.policy.state_dict().items())
    agent.set_parameters({"policy": {"network.head.bias": torch.ones(2)}}, exact_match=False)
    assert agent.policy.network.head.bias.tolist() == [1, 1]


def test_the_regressions_of_a_linear_bandit_come_along(make_vec: MakeVec) -> None:
    agents = [LinearBandit("ViTPolicy", make_vec(8), **ALIKE).learn(16) for _ in range(2)]
    before = copy.deepcopy(agents[0].get_parameters())
    assert list(before) == ["policy", "regressions"]
    agents[0].learn(16).set_parameters(before)
    for agent in agents:  # one of which has never been anywhere else
        agent._seed_task(1)
        agent.get_env().seed(5)
        agent.learn(16)
    assert torch.equal(agents[0].regressions.moment, agents[1].regressions.moment)
    assert torch.equal(agents[0].policy.network.head.weight, agents[1].policy.network.head.weight)


def test_what_does_not_fit_is_one_line_and_changes_nothing(make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), "ce", **ALIKE).learn(8)
    other = EPG("ViTPolicy", make_vec(8), "ce", **ALIKE)
    other.get_env().set_options({"task": 1})
    other.learn(8)
    before = copy.deepcopy(agent.get_parameters())
    state = before["policy"]
    for given, message in (
        (
            other.get_parameters(),
            r"that learned the classes \[2, 3\], where this one learned \[0, 1\]; .* load\(path\)",
        ),
        (
            {"policy": state | {"network.head.weight": torch.ones(3, 128)}},
            r"of another shape: network.head.weight .*; .* load\(path\)",
        ),
        ({"policy": {}}, "missing: network.head.weight"),
        ({"policy": 3}, "'policy' holds tensors by name"),
        ({}, "takes 'policy', as get_parameters gives them, not nothing"),
        ({"critic": {}}, "not 'critic'"),
        ("agent.zip", r"takes the dict that get_parameters gives, not 'agent.zip': read a file by EPG.load\(path\)"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            agent.set_parameters(given)
        assert "\n" not in str(error.value)
    assert all(torch.equal(tensor, state[name]) for name, tensor in agent.policy.state_dict().items())
    agent.get_env().set_options({"task": 1})
    agent.learn(8)
    with pytest.raises(ValueError, match=r"where this one learned \[0, 1, 2, 3\]"):
        agent.set_parameters(before)

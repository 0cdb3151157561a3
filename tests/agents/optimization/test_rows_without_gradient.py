"""Rows and modules without a gradient stay bit-equal, whatever the optimizer and its decay."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pytest
import torch
from stable_baselines3 import DQN, PPO

from agents import EPG, GymnasiumVecEnv
from agents.optimization.optimizers import make_optimizer
from agents.optimization.rows_without_gradient import hold_rows_without_gradient
from agents.sb3.policies import ViTActorCriticPolicy, ViTQPolicy
from agents.sb3.task_by_task import TaskByTask
from tests.agents.methods.conftest import module_of

pytestmark = pytest.mark.long

OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "asgd": (torch.optim.ASGD, {}),  # has a decay of another name
    "adam": (torch.optim.Adam, {"weight_decay": 0.1}),
    "adamw": (torch.optim.AdamW, {}),  # decays by 0.01 unless told otherwise
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
}
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


@each_optimizer
def test_a_row_is_held_until_its_first_gradient(optimizer: str) -> None:
    kind, arguments = OPTIMIZERS[optimizer]
    matrix, scalar, empty = (torch.nn.Parameter(torch.ones(shape)) for shape in ((3, 2), (), (0, 2)))
    stepper = make_optimizer(kind, [matrix, scalar, empty], lambda remaining: 0.1 * remaining, arguments)

    def step(rows: list[int], scale: float) -> None:
        stepper.zero_grad()
        (matrix[rows].sum() + scale * scalar + matrix.sum() * 0 + empty.sum()).backward()
        stepper.step()

    step([0], 0.0)
    assert torch.equal(matrix[1:], torch.ones(2, 2)) and scalar.item() == 1
    assert (matrix[0] != 1).all()
    before = matrix.detach().clone()
    step([1], 1.0)
    assert torch.equal(matrix[2], torch.ones(2)) and scalar.item() != 1
    assert (matrix[:2] != before[:2]).all()  # a row that learned goes on decaying
    step([2], 0.0)
    assert (matrix[2] != 1).all()


def test_rows_are_not_copied_without_decay() -> None:
    """The usual step is the optimizer's alone."""
    row = torch.nn.Parameter(torch.ones(2, 2))
    stepper = torch.optim.Adam([row], lr=0.1)
    hold_rows_without_gradient(stepper)
    (row[0].sum() + 0 * row[1].sum()).backward()
    stepper.step()
    plain = torch.nn.Parameter(torch.ones(2, 2))
    (plain[0].sum() + 0 * plain[1].sum()).backward()
    torch.optim.Adam([plain], lr=0.1).step()
    assert torch.equal(row, plain)


@each_optimizer
@pytest.mark.parametrize("method", ["sequential", "l2p:top=2", "sd-lora", "coda-prompt"])
def test_old_classes_keep_their_rows(
    optimizer: str, method: str, make_vec: Callable[..., gym.vector.VectorEnv]
) -> None:
    kind, arguments = OPTIMIZERS[optimizer]
    kwargs = {"method": method, "peft": module_of(method), "blocks": (0,)}
    kwargs |= {"optimizer_class": kind, "optimizer_kwargs": arguments}
    agent = EPG("ViTPolicy", make_vec(8), objective="ce", batch_size=8, policy_kwargs=kwargs, seed=0, device="cpu")
    agent.learn(16)
    head, frozen_adapters = agent.policy.network.head, {}
    weight, bias = head.weight.detach().clone(), head.bias.detach().clone()
    agent.get_env().set_options({"task": 1})

    def begin(_: dict[str, Any], __: dict[str, Any]) -> bool:
        if not frozen_adapters:
            frozen_adapters.update(
                {
                    id(tensor): tensor.detach().clone()
                    for tensor in agent.policy.method.frozen_adapters(agent.policy.network)
                }
            )
        return True

    agent.learn(16, callback=begin, reset_num_timesteps=False)
    assert torch.equal(head.weight[:2], weight) and torch.equal(head.bias[:2], bias)
    assert not torch.equal(head.weight[2:], torch.zeros_like(head.weight[2:]))
    assert all(
        torch.equal(tensor, frozen_adapters[id(tensor)])
        for tensor in agent.policy.method.frozen_adapters(agent.policy.network)
    )
    assert bool(frozen_adapters) == (method == "sd-lora")


def test_a_copied_agent_goes_on_alike(make_vec: Callable[..., gym.vector.VectorEnv]) -> None:
    """PyTorch does not copy an optimizer's hooks."""
    kwargs = {"peft": "none", "optimizer_kwargs": {"weight_decay": 0.1}}
    agent = EPG("ViTPolicy", make_vec(8), objective="ce", batch_size=8, policy_kwargs=kwargs, seed=0, device="cpu")
    agent.learn(16)
    agent.get_env().set_options({"task": 1})
    agent.learn(8, reset_num_timesteps=False)
    before = agent.policy.network.head.weight[:2].detach().clone()
    agent.policy.optimizer = copy.deepcopy(agent.policy.optimizer)
    agent.learn(8, reset_num_timesteps=False)
    assert torch.equal(agent.policy.network.head.weight[:2], before)


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_stable_baselines3s_own_algorithms(algorithm: str, make_vec: Callable[..., gym.vector.VectorEnv]) -> None:
    env = GymnasiumVecEnv(make_vec(8))
    kwargs = {"optimizer_kwargs": {"weight_decay": 0.1}, "features_extractor_kwargs": {"peft": "none"}}
    if algorithm == "ppo":
        model = PPO(ViTActorCriticPolicy, env, n_steps=2, batch_size=8, n_epochs=1, policy_kwargs=kwargs, seed=0)
        rows = model.policy.action_net
    else:
        model = DQN(ViTQPolicy, env, learning_starts=8, batch_size=8, buffer_size=64, policy_kwargs=kwargs, seed=0)
        rows = model.policy.q_net.q_net[-1]
    model.learn(32, callback=TaskByTask())
    classes = model.policy.seen_classes.clone()
    before = rows.weight[classes].detach().clone()
    env.set_options({"task": 1})
    model.learn(32, callback=TaskByTask(), reset_num_timesteps=False)
    others = [row for row in range(6) if row not in classes]
    assert torch.equal(rows.weight[classes], before) and len(others) == 4

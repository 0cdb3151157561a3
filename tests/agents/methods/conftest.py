"""Agents with a method, on the small stream of three tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import gymnasium as gym
import pytest
import torch

from agents import EPG
from agents.methods import METHODS, NO_OBJECTIVE, Batch, make_method
from agents.policy import ViTPolicy
from cls_env.specification import parse_specification
from tests.agents.policies import TINY

MakeVec = Callable[..., gym.vector.VectorEnv]
SMALL = {"ranpac": "ranpac:projections=200", "coda-prompt": "coda-prompt:components=30"}
"""Methods whose defaults are slow, or too large for `TINY`."""


def module_of(method: str) -> str:
    """A PEFT module that a method accepts."""
    return METHODS[parse_specification(method)[0]].peft_or_default("lora")


@pytest.fixture(scope="session")
def make_agent(make_vec: MakeVec) -> Callable[..., EPG]:
    """`make_agent(method, **arguments)`: untrained, on batches of 8, with a tiny backbone."""

    def make(method: str, *, objective: str = "ce", peft: str | None = None, **arguments: Any) -> EPG:
        if not make_method(method).learns_by_gradient:
            objective = NO_OBJECTIVE
        kwargs = {"method": SMALL.get(method, method), "peft": peft or module_of(method), "blocks": (0, 1, 2)}
        kwargs |= TINY | arguments.pop("policy_kwargs", {})
        defaults = {"env": make_vec(8), "batch_size": 8, "learning_rate": 1e-2, "seed": 0, "device": "cpu"}
        defaults |= {"cache_features": True}
        return EPG("ViTPolicy", objective=objective, policy_kwargs=kwargs, **(defaults | arguments))

    return make


def learn(agent: EPG, tasks: Iterable[int], images: int = 48) -> EPG:
    """Learn some tasks of the stream, each in an order of its own."""
    for task in tasks:
        agent.get_env().seed(task)
        agent.get_env().set_options({"task": agent.policy.method.training_tasks(task)})
        agent.learn(images, reset_num_timesteps=agent.policy.network.tasks_begun == 0)
    return agent


def batch_of(images: torch.Tensor, policy: ViTPolicy | None = None, labels: list[int] | None = None) -> Batch:
    """Images as the learner hands them to a method, of six classes."""
    rewards = torch.zeros(len(images), 6)
    for row, label in enumerate(labels or ()):
        rewards[row, label] = 1
    return Batch(
        images,
        rewards,
        torch.ones(len(images), 6),
        None,
        policy.network.preprocessing if policy else lambda images: images,
    )

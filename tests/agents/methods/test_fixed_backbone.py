"""Methods that never change the backbone: test images pass it once, and the answers are the same to the bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from agents import EPG
from agents.evaluation import TaskEvaluation, evaluate_tasks
from agents.methods import METHODS, FixedBackbone, PeftRequirement, register_method
from agents.methods.baselines import LinearProbe
from agents.networks.feature_memory import FeatureMemory
from agents.networks.network import Network
from agents.policy import ViTPolicy
from tests.agents.methods.conftest import learn

pytestmark = pytest.mark.long

MakeAgent = Callable[..., EPG]
MakeVec = Callable[..., gym.vector.VectorEnv]
FIXED = [name for name, definition in METHODS.items() if issubclass(definition, FixedBackbone)]
IN_ALL = 20
"""Test images of two tasks."""


def passes_of(agent: EPG) -> list[int]:
    """The number of images of each pass through the backbone's first block from now on."""
    passes: list[int] = []
    block = agent.policy.network.backbone.blocks[0]
    block.register_forward_hook(lambda module, inputs, output: passes.append(len(output)))
    return passes


def equal(first: list[TaskEvaluation], second: list[TaskEvaluation]) -> bool:
    pairs = zip(map(astuple, first), map(astuple, second), strict=True)
    return all(np.array_equal(*values) for pair in pairs for values in zip(*pair, strict=True))


def test_these_methods_leave_the_backbone_as_it_is() -> None:
    assert FIXED == ["linear-probe", "l2p", "dualprompt", "coda-prompt", "ncm", "ranpac", "frozen"]


@pytest.mark.parametrize("method", FIXED)
def test_an_image_passes_the_plain_backbone_once(method: str, make_agent: MakeAgent, make_vec: MakeVec) -> None:
    agent, env, memory = make_agent(method), make_vec(7, split="test"), FeatureMemory()
    learn(agent, range(1))
    first = evaluate_tasks(agent.policy, env, [0], memory=memory)
    assert equal(first, evaluate_tasks(agent.policy, env, [0]))
    learn(agent, range(1, 2))
    plain = evaluate_tasks(agent.policy, env, [0, 1])
    passes = passes_of(agent)
    assert equal(evaluate_tasks(agent.policy, env, [0, 1], memory=memory), plain)
    prompted = 0 if method in ("linear-probe", "ncm", "ranpac", "frozen") else IN_ALL
    assert sum(passes) == IN_ALL // 2 + prompted
    evaluate_tasks(agent.policy, env, [0, 1], memory=memory)
    assert sum(passes) == IN_ALL // 2 + 2 * prompted


def test_another_precision_has_other_features(make_agent: MakeAgent, make_vec: MakeVec) -> None:
    agent, env, memory = make_agent("ncm"), make_vec(10, split="test"), FeatureMemory()
    learn(agent, range(1))
    evaluate_tasks(agent.policy, env, [0], memory=memory)
    agent.policy.precision = "bfloat16"
    assert equal(*(evaluate_tasks(agent.policy, env, [0], memory=each) for each in (memory, None)))


def test_a_policy_with_scores_of_its_own_is_asked_itself(make_agent: MakeAgent, make_vec: MakeVec) -> None:
    class Sharper(ViTPolicy):
        def forward(self, images: Tensor) -> Tensor:
            return 9 * super().forward(images)

    agent, env = make_agent("ncm"), make_vec(10, split="test")
    learn(agent, range(1))
    agent.policy.__class__ = Sharper
    assert equal(*(evaluate_tasks(agent.policy, env, [0], memory=each) for each in (FeatureMemory(), None)))


@pytest.mark.parametrize("peft", ["none", "lora"])
def test_a_subclass_that_does_otherwise_is_asked_itself(peft: str, make_agent: MakeAgent, make_vec: MakeVec) -> None:
    class Probe(LinearProbe):
        """With a score for the first class alone, or with a module that learns."""

        default_peft = peft
        accepts_peft = PeftRequirement()

        if peft == "none":

            def scores(self, network: Network, inputs: Tensor) -> Tensor:
                return super().scores(network, inputs).index_fill(1, torch.tensor([0]), 100.0)

    register_method("probe")(Probe)
    try:
        agent, env, memory = make_agent("probe", peft=peft), make_vec(10, split="test"), FeatureMemory()
        for task in range(2):
            learn(agent, range(task, task + 1))
            tests = [evaluate_tasks(agent.policy, env, [0], memory=each) for each in (memory, None)]
            assert equal(*tests)
            assert peft == "lora" or set(tests[0][0].predictions) == {0}
    finally:
        METHODS.pop("probe")

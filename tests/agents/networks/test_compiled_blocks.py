"""Compiled blocks: the same agent, over tasks in which the head grows and modules are frozen and unfrozen."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from peft import PeftModel

from agents import EPG
from agents.evaluation import evaluate_tasks
from agents.networks.compiled_blocks import MOST_VARIANTS, compile_blocks
from tests.agents.policies import TINY, make_policy, whole

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]


def trained(make_vec: MakeVec, compiled: bool, **entries: Any) -> tuple[EPG, list[Any]]:
    """An agent that learned three tasks, with a frozen module at first, and its tests after each."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, seed=0, device="cpu", policy_kwargs=TINY | entries)
    if compiled:
        compile_blocks(agent.policy.network.backbone, "aot_eager")
    tests = []
    for task in range(3):
        agent.get_env().seed(task)
        agent.get_env().set_options({"task": task})
        agent.learn(40, reset_num_timesteps=task == 0)
        tests += [each.log_likelihood for each in evaluate_tasks(agent.policy, make_vec(8, split="test"), [0, task])]
    return agent, tests


@pytest.mark.parametrize(
    "entries",
    [
        {},
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in ({"method": "lae"}, {"method": "l2p", "peft": "none"})
        ),
    ],
    ids=str,
)
def test_training_and_tests_are_those_of_plain_blocks(entries: dict[str, Any], make_vec: MakeVec) -> None:
    plain, expected = trained(make_vec, False, **entries)
    agent, tests = trained(make_vec, True, **entries)
    counters = torch._dynamo.utils.counters
    assert 1 < counters["stats"]["unique_graphs"] == counters["frames"]["total"] < MOST_VARIANTS
    assert not counters["graph_break"]
    state = plain.policy.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in agent.policy.state_dict().items())
    assert all(np.array_equal(*pair) for pair in zip(tests, expected, strict=True))


def test_classes_and_names_stay(tmp_path: Path, make_vec: MakeVec) -> None:
    policy = make_policy(**TINY)
    names, kind = list(policy.state_dict()), type(policy.network.backbone)
    compile_blocks(policy.network.backbone, "aot_eager")
    assert list(policy.state_dict()) == names and type(policy.network.backbone) is kind
    assert isinstance(copy.deepcopy(policy).network.backbone, PeftModel)


def compiled_blocks(agent: EPG) -> set[bool]:
    blocks = agent.policy.network.backbone.get_base_model().blocks
    return {block._compiled_call_impl is not None for block in blocks}


def test_an_agent_compiles_its_blocks_and_loads_so(tmp_path: Path, make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, device="cpu", compile=True, policy_kwargs=TINY)
    agent.save(tmp_path / "agent")
    assert compiled_blocks(agent) == compiled_blocks(EPG.load(tmp_path / "agent", device="cpu")) == {True}
    assert compiled_blocks(EPG.load(tmp_path / "agent", device="cpu", compile=False)) == {False}


def test_the_argument_is_applied_by_the_next_learn(make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, device="cpu", compile=True, policy_kwargs=TINY)
    agent.compile = False
    agent.learn(8)
    assert compiled_blocks(agent) == {False}


@pytest.mark.slow
def test_a_copy_has_its_own_weights(make_vec: MakeVec) -> None:
    policy = make_policy(**TINY)
    compile_blocks(policy.network.backbone, "aot_eager")
    copied = copy.deepcopy(policy)
    with torch.no_grad():
        for tensor in copied.network.backbone.parameters():
            tensor.mul_(2)
    images = torch.full((2, 32, 32, 3), 7, dtype=torch.uint8)
    before = policy.features(images)
    assert not torch.equal(copied.features(images), before)
    assert torch.equal(policy.features(images), before)


@pytest.mark.parametrize(("method", "peft"), [("sd-lora", "lora:scale=true"), ("inflora", "lora")])
def test_methods_that_add_modules_are_refused(method: str, peft: str, make_vec: MakeVec) -> None:
    entries = TINY | {"method": method, "peft": peft}
    refusal = f"compile=True can't be combined with method '{method}', which adds modules"
    with pytest.raises(ValueError, match=refusal):
        EPG("ViTPolicy", make_vec(8), batch_size=8, compile=True, policy_kwargs=entries)
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, policy_kwargs=entries)
    agent.compile = True
    with pytest.raises(ValueError, match=refusal):
        agent.learn(8)


def test_a_model_without_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="compile=True compiles the blocks of a timm ViT, and ResNet has none"):
        compile_blocks(whole().network.backbone)

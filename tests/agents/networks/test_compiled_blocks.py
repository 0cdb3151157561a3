"""Compiled blocks: the same agent, over tasks in which the head grows and modules are frozen and unfrozen."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch
from peft import PeftModel

from agents import EPG
from agents.evaluation import evaluate_tasks
from agents.networks.compiled_blocks import compile_blocks
from tests.agents.policies import TINY, make_policy, whole

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]


def trained(make_vec: MakeVec, compiled: bool, **entries: Any) -> tuple[EPG, list[Any]]:
    torch._dynamo.reset()
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, seed=0, device="cpu", policy_kwargs=TINY | entries)
    if compiled:
        compile_blocks(agent.policy.network.backbone, "aot_eager")
    tests = []
    for task in range(3):
        agent.get_env().seed(task)
        agent.get_env().set_options({"task": task})
        agent.learn(40, reset_num_timesteps=task == 0)
        tests.append(
            [each.log_likelihood for each in evaluate_tasks(agent.policy, make_vec(8, split="test"), [0, task])]
        )
    return agent, tests


@pytest.mark.slow
@pytest.mark.parametrize("entries", [{"method": "lae"}, {"method": "l2p", "peft": "none"}], ids=str)
def test_training_and_tests_are_those_of_plain_blocks(entries: dict[str, Any], make_vec: MakeVec) -> None:
    plain, expected = trained(make_vec, False, **entries)
    agent, tests = trained(make_vec, True, **entries)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 1
    assert not torch._dynamo.utils.counters["graph_break"]
    for name, tensor in agent.policy.state_dict().items():
        assert torch.allclose(tensor.double(), plain.policy.state_dict()[name].double(), atol=1e-6), name
    for task, others in zip(tests, expected, strict=True):
        assert all(abs(one - other).max() < 1e-5 for one, other in zip(task, others, strict=True))


def test_classes_and_names_stay(tmp_path: Path, make_vec: MakeVec) -> None:
    policy = make_policy(**TINY)
    names, kind = list(policy.state_dict()), type(policy.network.backbone)
    compile_blocks(policy.network.backbone, "aot_eager")
    assert list(policy.state_dict()) == names and type(policy.network.backbone) is kind
    assert isinstance(copy.deepcopy(policy).network.backbone, PeftModel)


def test_an_agent_compiles_its_blocks_and_loads_so(tmp_path: Path, make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, device="cpu", compile=True, policy_kwargs=TINY)
    agent.save(tmp_path / "agent")
    for each in (agent, EPG.load(tmp_path / "agent", device="cpu")):
        blocks = each.policy.network.backbone.get_base_model().blocks
        assert all(block._compiled_call_impl is not None for block in blocks)


@pytest.mark.parametrize(("method", "peft"), [("sd-lora", "lora:scale=true"), ("inflora", "lora")])
def test_methods_that_add_modules_are_refused(method: str, peft: str, make_vec: MakeVec) -> None:
    entries = TINY | {"method": method, "peft": peft}
    with pytest.raises(ValueError, match=f"compile=True can't be combined with method '{method}', which adds modules"):
        EPG("ViTPolicy", make_vec(8), batch_size=8, compile=True, policy_kwargs=entries)


def test_a_model_without_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="compile=True compiles the blocks of a timm ViT, and ResNet has none"):
        compile_blocks(whole().network.backbone)

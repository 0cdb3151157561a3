"""Any objective can be combined with any PEFT module, in learning, saving and loading."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import EPG, OBJECTIVES
from agents.peft_modules import PEFT_MODULES
from tests.agents.policies import TINY
from tests.slow_cases import slow_but

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]


def learn(make_vec: MakeVec, objective: str, peft: str) -> tuple[EPG, dict[str, torch.Tensor]]:
    """An agent after two gradient steps, and what it was before them."""
    agent = EPG("ViTPolicy", make_vec(8), objective, 1e-2, 8, seed=0, device="cpu", policy_kwargs=TINY | {"peft": peft})
    before = {name: tensor.clone() for name, tensor in agent.policy.network.backbone.state_dict().items()}
    return agent.learn(16), before


MODULES = set(PEFT_MODULES) - {"none", "full"}


@pytest.mark.parametrize("peft", slow_but(["lora"], ["lora", "adapter", "prefix"]))
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_any_objective_moves_any_module_and_nothing_else_of_the_backbone(
    objective: str, peft: str, make_vec: MakeVec
) -> None:
    agent, before = learn(make_vec, objective, peft)
    learning = {id(tensor) for tensor in agent.policy.network.peft_parameters}
    moved = {
        name
        for name, tensor in agent.policy.network.backbone.named_parameters()
        if not torch.equal(tensor, before[name])
    }
    allowed = {name for name, tensor in agent.policy.network.backbone.named_parameters() if id(tensor) in learning}
    assert moved and moved <= allowed
    assert agent.policy.network.head.bias.abs().max() > 0


@pytest.mark.parametrize("peft", PEFT_MODULES)
def test_any_module_is_saved_and_loaded_to_the_same_answers(peft: str, make_vec: MakeVec, tmp_path: Path) -> None:
    agent, _ = learn(make_vec, "aepg", peft)
    images = torch.from_numpy(make_vec(8).reset(seed=1)[0])
    agent.save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", device="cpu")
    with torch.no_grad():
        assert torch.equal(loaded.policy(images), agent.policy(images))
    assert loaded.policy.config.peft == peft
    # ... and goes on learning what learned before, from where it stands.
    assert [tensor.shape for tensor in loaded.policy.network.peft_parameters] == [
        tensor.shape for tensor in agent.policy.network.peft_parameters
    ]


@pytest.mark.parametrize(
    "peft", slow_but(["lora", "adapter", "vpt", "oft", "vera"], sorted(set(PEFT_MODULES) - {"none", "full"}))
)
def test_an_adapter_that_lacks_a_tensor_is_refused(peft: str, make_vec: MakeVec, tmp_path: Path) -> None:
    agent, _ = learn(make_vec, "ce", peft)
    agent.save(tmp_path / "agent")
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(tmp_path / "agent.zip") as whole, zipfile.ZipFile(broken, "w") as part:
        for name in whole.namelist():
            part.writestr(
                name, _without_one(whole.read(name)) if name.endswith("_model.safetensors") else whole.read(name)
            )
    with pytest.raises(ValueError, match="the adapter lacks"):
        EPG.load(broken, device="cpu")


def _without_one(content: bytes) -> bytes:
    from safetensors.torch import load, save

    tensors = load(content)
    tensors.pop(sorted(tensors)[0])
    return save(tensors)


def test_a_checkpoint_from_before_modules_had_arguments_is_loaded(make_vec: MakeVec, tmp_path: Path) -> None:
    agent, _ = learn(make_vec, "ce", "lora:r=2")
    agent.save(tmp_path / "agent")
    old = tmp_path / "old.zip"
    with zipfile.ZipFile(tmp_path / "agent.zip") as new, zipfile.ZipFile(old, "w") as archive:
        for name in new.namelist():
            content = new.read(name)
            if name == "model.json":
                description = json.loads(content)
                description["policy"] |= {"peft": "lora", "lora_rank": 2}
                content = json.dumps(description).encode()
            archive.writestr(name, content)
    images = make_vec(8).reset(seed=1)[0]
    loaded = EPG.load(old, device="cpu")
    assert loaded.policy.config.peft == "lora:r=2"
    assert np.array_equal(loaded.predict(images, deterministic=True)[0], agent.predict(images, deterministic=True)[0])


def test_reinforce_repeats_itself_by_seed(make_vec: MakeVec) -> None:
    heads = [learn(make_vec, "reinforce:baseline=running-mean", "lora")[0].policy.network.head.weight for _ in range(2)]
    assert torch.equal(*heads)


@pytest.mark.parametrize(
    ("saved", "asked", "message"),
    [
        ("lora", "lora:r=8", r"lora_A\.weight has shape \(4, 64\), where the policy's has \(8, 64\)"),
        ("lora", "none", "holds an adapter, which does not fit a policy of peft='none'"),
        ("none", "lora", "holds no adapter, which does not fit a policy of peft='lora'"),
        ("lora", "adapter", "the adapter lacks"),
        ("lora", "lora:targets=q", "the adapter lacks"),
    ],
)
def test_a_checkpoint_of_another_module_is_refused(
    saved: str, asked: str, message: str, make_vec: MakeVec, tmp_path: Path
) -> None:
    learn(make_vec, "ce", saved)[0].save(tmp_path / "agent")
    with pytest.raises(ValueError, match=message):
        EPG.load(tmp_path / "agent", device="cpu", policy_kwargs={"peft": asked})


def test_a_task_gone_on_with_draws_by_the_agents_seed(make_vec: MakeVec, tmp_path: Path) -> None:
    agent = EPG("ViTPolicy", make_vec(8), "reinforce", 1e-4, 8, seed=0, device="cpu", policy_kwargs={"peft": "none"})
    agent.learn(8)
    heads = []
    for seed in (0, 0, 1):
        agent._action_seed = seed
        agent.save(tmp_path / "agent")
        heads.append(
            EPG.load(tmp_path / "agent", make_vec(8), device="cpu").learn(16).policy.network.head.weight.detach()
        )
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])

"""Steps that hold the activations of a part of the batch at once: the result of the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pytest
import torch

from agents import EPG, Reinforce
from agents.algorithms.one_step import OneStepAlgorithm
from tests.agents.policies import TINY

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]


def trained(make_vec: MakeVec, kind: type[OneStepAlgorithm], **arguments: Any) -> OneStepAlgorithm:
    # Adam would make large steps of differences of rounding in gradients near 0.
    policy = {"policy_kwargs": TINY | {"optimizer_class": torch.optim.SGD} | arguments.pop("policy_kwargs", {})}
    fixed = {"batch_size": 12, "seed": 0, "device": "cpu", "learning_rate": 0.05}
    agent = kind("ViTPolicy", make_vec(12), **(fixed | arguments | policy))
    for task in range(2):
        agent.get_env().set_options({"task": task})
        agent.learn(48, reset_num_timesteps=task == 0)
    return agent


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": EPG, "objective": "aepg", "crop_scale": (0.2, 1.0)},
        {"kind": EPG, "objective": "reinforce", "policy_kwargs": {"method": "lae"}},
        {"kind": EPG, "policy_kwargs": {"method": "l2p", "peft": "none"}},
        {"kind": EPG, "policy_kwargs": {"method": "l2p:batchwise=true", "peft": "none"}},
        {"kind": EPG, "policy_kwargs": {"method": "replay"}},
        {"kind": Reinforce, "baseline": "running-mean"},
    ],
    ids=str,
)
def test_parts_give_the_result_of_the_whole(arguments: dict[str, Any], make_vec: MakeVec) -> None:
    whole, parts = (trained(make_vec, **arguments, micro_batch=size) for size in (None, 5))
    for name, tensor in whole.policy.state_dict().items():
        assert torch.allclose(tensor.double(), parts.policy.state_dict()[name].double(), atol=2e-5), name


def test_batch_norm_that_is_trained_is_refused(make_vec: MakeVec) -> None:
    entries = {"model": "resnet18_32", "pretrained": False, "peft": "full"}
    with pytest.raises(ValueError, match="micro_batch=4 can't be combined with peft='full' on resnet18_32"):
        EPG("ViTPolicy", make_vec(12), batch_size=12, micro_batch=4, device="cpu", policy_kwargs=entries).learn(12)


def kept_bytes(agent: OneStepAlgorithm) -> int:
    """Bytes that autograd keeps for the backward pass of a step."""
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        agent.learn(12)
    return sum(kept.values())


def test_fewer_activations_are_kept(make_vec: MakeVec) -> None:
    agents = [EPG("ViTPolicy", make_vec(12), batch_size=12, policy_kwargs=TINY, micro_batch=size) for size in (None, 2)]
    whole, parts = map(kept_bytes, agents)
    assert parts < whole / 2


def test_a_part_has_at_least_one_image(make_vec: MakeVec) -> None:
    with pytest.raises(ValueError, match="micro_batch must be a whole number of at least 1, not 0"):
        EPG("ViTPolicy", make_vec(12), batch_size=12, micro_batch=0)

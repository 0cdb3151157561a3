from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from agents import EPG
from agents.methods.common.lora_per_task import adapter_of, lora_layers
from tests.agents.methods.conftest import learn

MakeAgent = Callable[..., EPG]


def test_directions_have_length_1_and_the_model_stays_the_same(make_agent: MakeAgent) -> None:
    agent = make_agent("sd-lora")
    images = torch.from_numpy(agent.get_env().reset().copy())
    before = {}
    finish = agent.policy.method.end_task

    def watch(network: object, task: object) -> None:
        with torch.no_grad():
            before["scores"] = agent.policy(images)
        finish(network, task)

    agent.policy.method.end_task = watch
    learn(agent, range(2))
    with torch.no_grad():
        torch.testing.assert_close(agent.policy(images), before["scores"], atol=1e-5, rtol=1e-4)
    for layer in lora_layers(agent.policy.network):
        for name in ("default", "task1"):
            product = layer.lora_B[name].weight @ layer.lora_A[name].weight
            assert product.norm().item() == pytest.approx(1, abs=1e-5)


def test_old_directions_stay_and_their_magnitudes_learn(make_agent: MakeAgent) -> None:
    agent = learn(make_agent("sd-lora"), range(1))
    layer = lora_layers(agent.policy.network)[0]
    parts = (layer.lora_A["default"].weight, layer.lora_B["default"].weight, layer.lora_scale["default"])
    before = [part.detach().clone() for part in parts]
    learn(agent, range(1, 2))
    assert [torch.equal(*pair) for pair in zip(parts, before, strict=True)] == [True, True, False]


def test_magnitudes_begin_again_where_asked(make_agent: MakeAgent) -> None:
    agent = learn(make_agent("sd-lora:restart=0.8"), range(1))
    agent.policy.begin_task([4, 5], freeze_peft=True)
    assert all(layer.lora_scale["default"].item() == pytest.approx(0.8) for layer in lora_layers(agent.policy.network))
    assert all(layer.lora_scale[adapter_of(1)].item() == 1 for layer in lora_layers(agent.policy.network))


def test_what_has_learned_nothing_has_no_direction(make_agent: MakeAgent) -> None:
    agent = learn(make_agent("sd-lora", freeze_fraction=1.0), range(2))
    layer = lora_layers(agent.policy.network)[0]
    assert layer.lora_B["task1"].weight.abs().max() == 0 and layer.lora_scale["task1"].item() == 1

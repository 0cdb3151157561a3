from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import EPG
from agents.methods import Batch, TaskInfo, make_method
from agents.networks.network import Network
from agents.policy import ViTPolicy
from tests.agents.methods.conftest import batch_of, learn

pytestmark = pytest.mark.long

MakeAgent = Callable[..., EPG]
BLACK = torch.zeros(96, 32, 32, 3, dtype=torch.uint8)


def test_the_average_after_n_steps_by_closed_form(make_agent: MakeAgent) -> None:
    """With a constant online module: offline_n = d^n offline_0 + (1 - d^n) online, d = 0.9^(8 / 4)."""
    policy = make_agent("lae:decay=0.9,reference_batch=4").policy
    policy.begin_task([0, 1], freeze_peft=False)
    policy.begin_task([2, 3], freeze_peft=False)
    begun = [tensor.clone() for tensor in policy.method.offline]
    with torch.no_grad():
        for tensor in policy.network.peft_parameters:
            tensor.add_(torch.randn_like(tensor))
    for _ in range(5):
        policy.method.after_step(policy.network, [batch_of(BLACK[:5]), batch_of(BLACK[:3])])
    rest = 0.9 ** (2 * 5)
    for average, start, online in zip(policy.method.offline, begun, policy.network.peft_parameters, strict=True):
        torch.testing.assert_close(average, rest * start + (1 - rest) * online)


def test_it_follows_every_step_of_a_moving_module(make_agent: MakeAgent) -> None:
    """offline_n = d^n offline_0 + (1 - d) sum_k d^(n - k) online_k, over the steps of a real task."""
    agent = learn(make_agent("lae:decay=0.8,reference_batch=8"), range(1))
    begun = agent.policy.network.peft_parameters[0].detach().double().clone()
    seen: list[torch.Tensor] = []
    follow = agent.policy.method.after_step

    def watch(network: Network, batches: list[Batch]) -> None:
        follow(network, batches)
        seen.append(network.peft_parameters[0].detach().double().clone())

    agent.policy.method.after_step = watch
    learn(agent, range(1, 2))
    assert len(seen) == 6 and not torch.equal(seen[0], seen[-1])
    expected = 0.8**6 * begun + sum(0.2 * 0.8 ** (5 - k) * online for k, online in enumerate(seen))
    torch.testing.assert_close(agent.policy.method.offline[0].double(), expected, atol=1e-6, rtol=1e-5)


def test_it_begins_as_the_module_at_the_end_of_the_first_task(make_agent: MakeAgent) -> None:
    agent = learn(make_agent("lae:decay=0.5"), range(1))
    learned = [tensor.detach().clone() for tensor in agent.policy.network.peft_parameters]
    assert not any(torch.equal(*pair) for pair in zip(agent.policy.method.offline, learned, strict=True))
    agent.policy.begin_task([4, 5], freeze_peft=True)
    assert all(torch.equal(*pair) for pair in zip(agent.policy.method.offline, learned, strict=True))


@pytest.mark.parametrize(("batch", "steps"), [(24, 8), (48, 4), (96, 2)])
def test_an_epoch_weighs_the_same_at_any_batch_size(batch: int, steps: int, make_agent: MakeAgent) -> None:
    policy = make_agent("lae:decay=0.99,reference_batch=24").policy
    policy.begin_task([0, 1], freeze_peft=False)
    policy.begin_task([2, 3], freeze_peft=False)
    start = policy.method.offline[0].clone()
    with torch.no_grad():
        policy.network.peft_parameters[0].add_(1)
    for _ in range(steps):
        policy.method.after_step(policy.network, [batch_of(BLACK[:batch])])
    torch.testing.assert_close(policy.method.offline[0] - start, torch.full_like(start, 1 - 0.99**8))


def test_the_papers_decay_is_laes() -> None:
    paper, lae = make_method("lae:decay=0.999,reference_batch=256"), make_method("lae")
    assert paper.decay == pytest.approx(lae.decay ** (256 / lae.reference_batch), abs=1e-4)


def test_the_ensemble_by_hand_on_three_images(make_agent: MakeAgent) -> None:
    """The class with the highest probability that either module gives."""
    agent = learn(make_agent("lae:decay=0.5"), range(2))
    policy = agent.policy
    images = torch.from_numpy(agent.get_env().reset()[:3].copy())
    seen_classes = policy.network.head.actions
    online = policy.network.head(policy.features(images))[:, seen_classes].softmax(dim=1).detach()
    moved = [tensor.detach().clone() for tensor in policy.network.peft_parameters]
    with torch.no_grad():
        for tensor, average in zip(policy.network.peft_parameters, policy.method.offline, strict=True):
            tensor.copy_(average)
        offline = policy.network.head(policy.features(images))[:, seen_classes].softmax(dim=1)
        for tensor, value in zip(policy.network.peft_parameters, moved, strict=True):
            tensor.copy_(value)
        found = policy(images)[:, seen_classes]
    assert not torch.allclose(online, offline, atol=1e-3)
    torch.testing.assert_close(found.exp(), torch.maximum(online, offline))
    expected = [
        int(seen_classes[np.argmax(np.maximum(*pair))]) for pair in zip(online.numpy(), offline.numpy(), strict=True)
    ]
    assert agent.predict(images.numpy(), deterministic=True)[0].tolist() == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("peft", "count"),
    [
        ("lora:r=5,scale=true", 76_810),
        ("adapter:bottleneck=5,scale=true", 42_270),
        ("prefix:length=10,scale=true", 76_810),
    ],
)
def test_it_keeps_as_many_parameters_as_laes_on_vit_base(peft: str, count: int) -> None:
    images = gym.spaces.Box(0, 255, (224, 224, 3), np.uint8)
    arguments = {"model": "vit_base_patch16_224.orig_in21k", "pretrained": False, "peft": peft, "method": "lae"}
    policy = ViTPolicy(images, gym.spaces.Discrete(2), lambda _: 1e-3, **arguments)
    assert sum(tensor.numel() for tensor in policy.network.peft_parameters) == count
    assert policy.method.state_bytes == 4 * count
    policy.begin_task([0, 1], freeze_peft=False, task=TaskInfo(0, [0, 1]))
    assert sum(tensor.numel() for tensor in policy.trainable_parameters) == count + 2 * 769

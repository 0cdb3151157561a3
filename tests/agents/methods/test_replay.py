from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats

from agents import EPG
from agents.methods.common.reservoir import reservoir_slots
from agents.objectives import cross_entropy_loss
from tests.agents.methods.conftest import batch_of, learn

pytestmark = pytest.mark.long

MakeAgent = Callable[..., EPG]


@pytest.mark.parametrize("offered", [1, 7, 50])
def test_the_reservoir_is_uniform(offered: int) -> None:
    """Every item of a stream of 50 is kept equally often, by chi-square, offered one by one or in batches."""
    random, counts = np.random.default_rng(0), np.zeros(50)
    for _ in range(1000):
        buffer = np.full(8, -1)
        for start in range(0, 50, offered):
            items = np.arange(start, min(start + offered, 50))
            for item, slot in zip(items, reservoir_slots(start, len(items), 8, random), strict=True):
                if slot >= 0:
                    buffer[slot] = item
        assert len(set(buffer)) == 8 and buffer.min() >= 0
        counts[buffer] += 1
    assert stats.chisquare(counts).pvalue > 0.01


def test_the_buffer_fills_and_is_bounded(make_agent: MakeAgent) -> None:
    agent = make_agent("replay:size=20")
    learn(agent, range(1), images=16)
    method = agent.policy.method
    assert method.num_stored == method.num_seen == 16
    learn(agent, range(3), images=24)
    assert method.num_stored == 20 and method.num_seen == 16 + 3 * 24
    assert method.state_bytes == 20 * (32 * 32 * 3 + 6 * 4) + 8
    assert len(set(method.rewards.argmax(dim=1).tolist())) > 2  # of several tasks


@pytest.mark.parametrize("local", ["true", "false"])
def test_who_chooses_among_which_classes(local: str, make_agent: MakeAgent) -> None:
    agent = learn(make_agent(f"replay:local={local}"), range(2))
    policy, method = agent.policy, agent.policy.method
    batch = batch_of(torch.zeros(2, 32, 32, 3, dtype=torch.uint8))
    batch.action_mask = torch.tensor([[0, 0, 1, 1, 0, 0]]).expand(2, 6)
    seen_mask = torch.zeros(6).index_fill(0, policy.network.head.actions, 1)
    assert torch.equal(
        method.loss_mask(policy.network, batch)[0].float(),
        torch.tensor([0, 0, 1, 1, 0, 0.0]) if local == "true" else seen_mask,
    )
    chosen = torch.arange(4)
    logits = policy.network.head(policy.features(method.images[chosen]))
    found = method.replay_loss(
        policy.network, chosen, logits, lambda logits, rewards: cross_entropy_loss(logits, rewards, 0.0).mean()
    )
    expected = torch.nn.functional.cross_entropy(
        logits[:, policy.network.head.actions], _places(policy.network.head.actions, method.rewards[chosen])
    )
    torch.testing.assert_close(found, expected)


def test_rewards_are_those_of_all_classes_that_an_image_chooses_among(make_agent: MakeAgent) -> None:
    """With R = 2 I - 1 a class of another task is as wrong as one of the image's own."""
    agent = make_agent("replay")
    agent.policy.begin_task([0, 1, 2, 3], freeze_peft=False)
    batch = batch_of(torch.zeros(1, 32, 32, 3, dtype=torch.uint8))
    batch.action_rewards = torch.tensor([[-1.0, 1.0, -1.0, -1.0, -1.0, -1.0]])
    batch.action_mask = torch.tensor([[1, 1, 0, 0, 0, 0]])
    agent.policy.method.after_step(agent.policy.network, [batch])
    seen = []
    logits = torch.zeros(1, 6)
    agent.policy.method.replay_loss(
        agent.policy.network, torch.tensor([0]), logits, lambda logits, rewards: seen.append(rewards)
    )
    assert seen[0].tolist() == [[-1, 1, -1, -1, 0, 0]]


def _places(actions: torch.Tensor, rewards: torch.Tensor) -> torch.Tensor:
    return torch.tensor([actions.tolist().index(label) for label in rewards.argmax(dim=1).tolist()])


def test_derpp_by_hand(make_agent: MakeAgent) -> None:
    """alpha * squared difference from logits kept, over the classes seen then, + beta * cross-entropy."""
    agent = learn(make_agent("der++:size=4,batch=4,alpha=0.3,beta=0.7"), range(1))
    policy, method = agent.policy, agent.policy.method
    agent.policy.begin_task([4, 5], freeze_peft=False)
    seen_first = method.old_logits.isfinite().all(dim=0)
    assert int(seen_first.sum()) == 2 and method.old_logits[:, ~seen_first].isneginf().all()
    loss = lambda logits, rewards: cross_entropy_loss(logits, rewards, 0.0).mean()  # noqa: E731
    found = method.additional_loss(policy.network, [batch_of(method.images, policy)], loss)
    logits = policy.network.head(policy.features(method.images))
    difference = (logits - method.old_logits)[:, seen_first].square().mean()
    labels = loss(
        logits.masked_fill(logits.isneginf(), torch.finfo(torch.float32).min), method.rewards
    )  # the draw is all of the buffer
    torch.testing.assert_close(found, 0.3 * difference + 0.7 * labels)


def test_kept_logits_are_those_of_the_step(make_agent: MakeAgent) -> None:
    agent = make_agent("der++:size=100")
    agent.policy.begin_task([0, 1], freeze_peft=False)
    images = torch.from_numpy(agent.get_env().reset()[:3].copy())
    batch = batch_of(images, agent.policy, labels=[0, 1, 0])
    batch.logits = torch.arange(18.0).reshape(3, 6)
    agent.policy.method.after_step(agent.policy.network, [batch])
    assert torch.equal(agent.policy.method.old_logits[:3], batch.logits)
    assert torch.equal(agent.policy.method.images[:3], images) and agent.policy.method.rewards[1, 1] == 1


def test_draws_follow_from_the_seed(make_agent: MakeAgent) -> None:
    heads = [learn(make_agent("replay", seed=seed), range(2)).policy.method.rewards for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1])

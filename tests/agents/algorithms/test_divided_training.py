"""Parts of a batch, and what several processes refuse to train."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import pytest
import torch
from torch import nn

from agents import EPG
from agents.algorithms import divided_training
from agents.methods import Batch
from agents.parallel.processes import Processes


def test_a_part_of_a_part_belongs_to_the_whole_batch() -> None:
    batch = Batch(torch.arange(10), torch.zeros(10, 2), torch.ones(10, 2), None, lambda images: images.float())
    part = batch.part(slice(3, 9))
    inner = part.part(slice(1, 4))
    assert inner.images.tolist() == inner.inputs.tolist() == [4, 5, 6] and inner.whole is batch
    assert [piece.images.tolist() for piece in part.split(4)] == [[3, 4, 5, 6], [7, 8]]
    assert batch.part(slice(0, 10)) is batch and part.part(slice(0, 6)).images.tolist() == part.images.tolist()
    assert inner.frozen_features(lambda inputs: inputs[:, None] * 2).flatten().tolist() == [8, 10, 12]


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divided_training, "current", lambda: Processes(0, 2, 0))


def agent(env: gym.vector.VectorEnv, **policy: object) -> EPG:
    return EPG("ViTPolicy", env, batch_size=env.num_envs, device="cpu", policy_kwargs=policy)


@pytest.mark.usefixtures("two")
def test_a_batch_needs_an_image_for_each_process(make_vec: Callable[..., gym.vector.VectorEnv]) -> None:
    with pytest.raises(ValueError, match="a batch of 1 images can't be divided among 2 processes"):
        agent(make_vec(1)).learn(1)


@pytest.mark.usefixtures("two")
def test_statistics_over_a_batch_and_random_numbers_are_refused(make_vec: Callable[..., gym.vector.VectorEnv]) -> None:
    with pytest.raises(ValueError, match="BatchNorm2d computes statistics over the whole batch"):
        agent(make_vec(4), model="resnet18", pretrained=False, peft="full", input_size=32).learn(4)
    model = agent(make_vec(4), peft="full")
    model.policy.network.backbone.pos_drop = nn.Dropout(0.1)
    with pytest.raises(ValueError, match="its Dropout draws random numbers"):
        model.learn(4)

"""Patch embeddings are computed once per image where nothing in them is trained, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from peft import PeftModel
from stable_baselines3.common.vec_env import VecEnv

from agents import EPG
from agents.envs.vec_env import as_vec_env
from agents.networks import feature_cache
from agents.networks.feature_cache import FeatureCache
from tests.agents.networks.test_feature_cache import InvertedLater
from tests.agents.policies import EMBEDDED, TINY, make_policy

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
IMAGES = 24
"""Training images of a task."""


def trained(env: gym.vector.VectorEnv | VecEnv, cached: bool, steps: int = 6, **entries: Any) -> tuple[EPG, int]:
    """An agent that learned two tasks with all of its module unfrozen, and how many images were embedded."""
    settings = {key: entries.pop(key) for key in ("micro_batch",) if key in entries}
    agent = EPG(
        "ViTPolicy",
        env,
        learning_rate=1e-2,
        batch_size=12,
        freeze_fraction=0.0,
        cache_features=cached,
        policy_kwargs=EMBEDDED | entries,
        seed=0,
        device="cpu",
        **settings,
    )
    embedded: list[int] = []
    backbone = agent.policy.network.backbone
    vit = backbone.get_base_model() if isinstance(backbone, PeftModel) else backbone
    embed = vit.patch_embed.forward

    def counted(images: torch.Tensor) -> torch.Tensor:
        embedded.append(len(images))
        tokens: torch.Tensor = embed(images)
        return tokens

    vit.patch_embed.forward = counted
    view = agent.get_env()
    assert view is not None
    for task in range(2):
        view.seed(task)
        view.set_options({"task": task})
        agent.learn(12 * steps)
    return agent, sum(embedded)


def same(one: EPG, other: EPG) -> bool:
    state = other.policy.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in one.policy.state_dict().items())


@pytest.mark.parametrize(
    "entries",
    [
        {},
        {"micro_batch": 5},
        *(
            pytest.param(entries, marks=pytest.mark.slow)
            for entries in ({"method": "lae"}, {"method": "replay"}, {"peft": "vpt"})
        ),
    ],
    ids=str,
)
def test_learning_is_the_same_to_the_bit(entries: dict[str, Any], make_vec: MakeVec) -> None:
    plain, every = trained(make_vec(12), False, **entries)
    cached, embedded = trained(make_vec(12), True, **entries)
    assert same(cached, plain)
    assert embedded < every
    if entries == {}:
        assert (embedded, every) == (2 * IMAGES, 2 * 6 * 12)


def test_images_that_a_wrapper_changes_are_embedded_anew(make_vec: MakeVec) -> None:
    envs = [InvertedLater(as_vec_env(make_vec(12))) for _ in range(2)]
    (cached, embedded), (plain, _) = (trained(env, choice) for env, choice in zip(envs, (True, False), strict=True))
    assert same(cached, plain)
    assert embedded > 2 * IMAGES


def test_a_trained_embedding_is_not_kept(make_vec: MakeVec) -> None:
    full, embedded = trained(make_vec(12), True, steps=3, peft="full")
    assert not full.policy.network.embeds_apart
    assert embedded == 2 * 3 * 12


def test_models_without_a_plain_embedding_are_passed_as_a_whole() -> None:
    assert make_policy(**EMBEDDED).network.embeds_apart
    assert not make_policy(**TINY | {"model": "test_resnet", "peft": "none", "pretrained": False}).network.embeds_apart
    network = make_policy(**EMBEDDED).network
    vit = network.backbone.get_base_model()
    for module in (network.backbone, vit, vit.patch_embed, vit.patch_embed.proj[0]):
        handle = module.register_forward_pre_hook(lambda module, inputs: None)
        assert not network.embeds_apart
        handle.remove()
    assert network.embeds_apart


def test_features_of_patches_are_those_of_the_images() -> None:
    network = make_policy(**EMBEDDED).network
    inputs = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network.encode(network.embed(inputs)), network.encode(inputs))


def test_more_patches_than_fit_are_not_kept(make_vec: MakeVec, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, computed = FeatureCache(most_bytes=4 * 3 * 8), []

    def extract(images: torch.Tensor) -> torch.Tensor:
        computed.append(len(images))
        return images.float()

    images = torch.arange(10, dtype=torch.uint8).repeat(3, 1).T.contiguous()
    for _ in range(3):
        for rows in (np.arange(5), np.arange(5, 10)):
            assert torch.equal(cache.features(rows, images[rows], extract), images[rows].float())
    assert sum(computed) == 30
    cache.forget()
    for _ in range(3):
        cache.features(np.arange(5), images[:5], extract)
    assert sum(computed) == 35
    monkeypatch.setattr(feature_cache, "MOST_PATCH_BYTES", 1)
    few, every = trained(make_vec(12), True), trained(make_vec(12), False)
    assert few[1] == every[1] and same(few[0], every[0])

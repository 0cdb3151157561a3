"""Tasks are told apart by their data, not by the numbers of their classes alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers.vector import ClipReward

from agents import EPG, ViTFeatures
from agents.checkpoint.archive import read_json
from agents.peft_modules import PEFT_MODULES
from cls_env import ImageDataset, TaskStream
from tests.agents.algorithms.conftest import rewritten

MakeVec = Callable[..., gym.vector.VectorEnv]
ALIKE = {"batch_size": 8, "seed": 0, "device": "cpu"}
FROZEN = {"peft": "none", "method": "linear-probe"}


@pytest.fixture
def inverted(glyphs: ImageDataset) -> TaskStream:
    """The stream of the same classes and indices whose images are the negatives."""
    train, test = 255 - glyphs.train_images, 255 - glyphs.test_images
    dataset = ImageDataset("inverted", train, glyphs.train_labels, test, glyphs.test_labels, glyphs.class_names)
    return TaskStream(dataset, 3, seed=1)


def test_other_images_of_the_same_classes_are_a_new_task(make_vec: MakeVec, inverted: TaskStream) -> None:
    agent = EPG("ViTPolicy", make_vec(8), "none", policy_kwargs={"method": "ncm", "peft": "none"}, **ALIKE)
    agent.learn(8)
    counted = agent.policy.method.sums.clone()
    agent.set_env(make_vec(8, dataset=inverted))
    agent.learn(8)
    assert agent.policy.network.tasks_begun == 2 and agent.policy.method.counts.tolist() == [24, 24, 0, 0, 0, 0]
    assert not torch.equal(agent.policy.method.sums, counted)


def test_other_labels_of_the_same_images_are_a_new_task(make_vec: MakeVec, glyphs: ImageDataset) -> None:
    agent = EPG("ViTPolicy", make_vec(8), "ce", **ALIKE).learn(8)
    agent.set_env(make_vec(8, dataset=TaskStream(glyphs, 3, seed=1, label_noise=0.5)))
    assert agent.learn(8).policy.network.tasks_begun == 2


def test_cached_features_are_those_of_the_images_on_display(make_vec: MakeVec, inverted: TaskStream) -> None:
    def train(**arguments: Any) -> EPG:
        agent = EPG("ViTPolicy", make_vec(8), "ce", policy_kwargs=FROZEN, **ALIKE, **arguments).learn(48)
        agent.set_env(make_vec(8, dataset=inverted))
        agent.get_env().seed(1)
        return agent.learn(48)

    heads = [train(cache_features=cached).policy.network.head.weight for cached in (False, True)]
    torch.testing.assert_close(*heads, rtol=1e-4, atol=1e-6)


def test_the_cache_is_forgotten_where_weights_are_put_in(make_vec: MakeVec) -> None:
    arguments = {"model": "test_vit", "pretrained": False, "peft": "none"}
    one, other = (
        EPG("ViTPolicy", make_vec(8), "ce", cache_features=True, policy_kwargs=arguments, **(ALIKE | {"seed": seed}))
        for seed in (0, 1)
    )
    one.learn(24)
    other.learn(24)
    assert one._feature_cache._slots
    one.set_parameters(other.get_parameters())
    assert not one._feature_cache._slots


@pytest.mark.parametrize("method", ["sequential", "ncm"])
def test_the_same_stream_goes_on(method: str, make_vec: MakeVec, tmp_path: Path) -> None:
    """In a further call, in another environment of it, with other rewards, and after a save."""
    kwargs = {"method": method, "peft": "none"}
    agent = EPG("ViTPolicy", make_vec(8), "none" if method == "ncm" else "ce", policy_kwargs=kwargs, **ALIKE).learn(8)
    agent.learn(8)
    for env in (ClipReward(make_vec(8), 0, 0.5), make_vec(8, reward_matrix=2 * np.eye(6) - 1), make_vec(4)):
        agent.set_env(env)
        agent.learn(8)
    agent.save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", make_vec(8), device="cpu").learn(8)
    assert loaded.policy.network.tasks_begun == 1
    if method == "ncm":
        assert loaded.policy.method.counts.tolist() == [12, 12, 0, 0, 0, 0]


def test_a_checkpoint_of_before_compares_what_is_there(make_vec: MakeVec, inverted: TaskStream, tmp_path: Path) -> None:
    EPG("ViTPolicy", make_vec(8), "ce", **ALIKE).learn(8).save(tmp_path / "agent")
    saved = read_json(tmp_path / "agent.zip", "model.json")
    assert saved["current_task"]["images_sha256"] == make_vec(8).unwrapped.images_sha256
    saved["current_task"] = {entry: saved["current_task"][entry] for entry in ("classes", "tasks")}
    older = rewritten(tmp_path / "agent.zip", tmp_path / "old.zip", {"model.json": json.dumps(saved).encode()})
    loaded = EPG.load(older, make_vec(8), device="cpu").learn(8)
    assert loaded.policy.network.tasks_begun == 1
    loaded.set_env(make_vec(8, dataset=inverted))
    assert loaded.learn(8).policy.network.tasks_begun == 2  # the call before has noted the data


def test_a_domain_that_follows_within_a_call_is_refused(glyphs: ImageDataset) -> None:
    stream = TaskStream(glyphs, scenario="domain-incremental", domains=["identity", "rotate-90"])
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=8, dataset=stream, task_schedule=16)
    with pytest.raises(ValueError, match="moved on to new tasks during learn"):
        EPG("ViTPolicy", env, "ce", **ALIKE).learn(64)


def test_extractors_share_equal_tensors_alone() -> None:
    """A module of one's own that is registered again under the same name may change what it freezes."""
    space = spaces.Box(0, 255, (32, 32, 3), np.uint8)

    def scaled(factor: float) -> Callable[..., torch.nn.Module]:
        def module(backbone: torch.nn.Module, blocks: Any, seed: int) -> torch.nn.Module:
            with torch.no_grad():
                backbone.norm.weight.mul_(factor)
            return backbone

        return module

    try:
        PEFT_MODULES["scaled"] = scaled(1.0)
        one = ViTFeatures(space, peft="scaled")
        PEFT_MODULES["scaled"] = scaled(2.0)
        other = ViTFeatures(space, peft="scaled")
    finally:
        PEFT_MODULES.pop("scaled")
    torch.testing.assert_close(other.backbone.norm.weight, 2 * one.backbone.norm.weight)
    assert other.backbone.cls_token is one.backbone.cls_token

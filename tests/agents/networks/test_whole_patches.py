"""A ViT sees the part of an observation that its patches fill, pixel by pixel."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import EPG, ViTFeatures, ViTPolicy
from agents.networks.backbone import create_backbone
from agents.networks.views import CentralView
from tests.agents.policies import EMBEDDED, TINY, make_policy

pytestmark = pytest.mark.long

SMALL = {"num_classes": 4, "train_per_class": 8, "test_per_class": 2}


@pytest.fixture
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 36, 36, 3), dtype=np.uint8))


@pytest.mark.parametrize("entries", [EMBEDDED, TINY], ids=["embedded", "random"])
def test_a_margin_changes_no_input_of_the_backbone(entries: dict[str, Any], images: torch.Tensor) -> None:
    framed, bare = make_policy(36, **entries), make_policy(32, **entries)
    inner = images[:, 2:34, 2:34]
    assert framed.backbone_hash == bare.backbone_hash
    assert torch.equal(framed.network.preprocessing(images), bare.network.preprocessing(inner))
    assert torch.equal(framed.features(images), bare.features(inner))
    extractor = ViTFeatures(spaces.Box(0, 255, (36, 36, 3), np.uint8), **entries)
    assert torch.equal(extractor(images), bare.features(inner))


@pytest.mark.parametrize(("height", "width"), [(72, 71), (64, 68), (60, 100), (35, 56), (36, 32)])
def test_any_narrow_border_is_cut_on_all_sides(height: int, width: int) -> None:
    policy = ViTPolicy(spaces.Box(0, 255, (height, width, 3), np.uint8), spaces.Discrete(3), lambda _: 1e-3)
    view = policy.network.preprocessing.view
    assert view.size == (height // 8 * 8, width // 8 * 8)
    images = torch.arange(3 * height * width).remainder(251).to(torch.uint8).reshape(1, 3, height, width)
    seen = (view(images) * 255).round().to(torch.uint8)
    top, left = round((height - view.size[0]) / 2), round((width - view.size[1]) / 2)
    assert torch.equal(seen, images[:, :, top : top + view.size[0], left : left + view.size[1]])
    assert policy.features(images.permute(0, 2, 3, 1)).shape == (1, 128)


def test_sizes_that_were_asked_for_are_not_cut() -> None:
    assert make_policy(36, input_size=32).network.preprocessing.view.crop_fraction == 1.0
    assert make_policy(36, crop_fraction=0.5).network.preprocessing.view.crop_fraction == 0.5
    for impossible in ({"side": 36, "input_size": 36}, {"side": 15}, {"side": 38}):
        with pytest.raises(ValueError, match="leaves a remainder"):
            make_policy(**impossible)
    with pytest.raises(ValueError, match="leaves a remainder"):
        create_backbone("vit_micro_patch8_32", False, (36, 36), seed=0)


def test_pixels_that_need_no_resizing_are_only_cropped(images: torch.Tensor) -> None:
    planes = images.permute(0, 3, 1, 2)
    assert torch.equal(CentralView(32, 0.875)(planes), planes[:, :, 2:34, 2:34].float() / 255)


@pytest.mark.parametrize("options", [{}, {"cache_features": True, "policy_kwargs": {"peft": "none"}}])
def test_an_agent_learns_the_same_with_a_margin(options: dict[str, Any]) -> None:
    def learned(margin: int) -> tuple[dict[str, torch.Tensor], np.ndarray]:
        given = {"num_tasks": 2, "dataset_options": SMALL | {"margin": margin}}
        agent = EPG(
            "ViTPolicy", gym.make_vec("cls_env/SplitGlyphs-v0", num_envs=8, **given), seed=0, device="cpu", **options
        )
        for task in range(2):
            agent.get_env().set_options({"task": task})
            agent.learn(32, reset_num_timesteps=task == 0)
        test = gym.make_vec("cls_env/SplitGlyphs-v0", num_envs=4, split="test", **given)
        return agent.policy.state_dict(), agent.predict(test.reset()[0], deterministic=True)[0]

    (framed, answers), (bare, same) = learned(2), learned(0)
    assert framed.keys() == bare.keys() and all(torch.equal(framed[name], bare[name]) for name in framed)
    assert np.array_equal(answers, same)


def test_random_crops_are_taken_of_the_whole_image() -> None:
    env = gym.make_vec("cls_env/SplitGlyphs-v0", num_envs=8, num_tasks=2, dataset_options=SMALL)
    agent = EPG("ViTPolicy", env, crop_scale=(0.5, 1.0), batch_size=8, seed=0, device="cpu").learn(8)
    assert agent.train_view.size == (32, 32)

"""The ViT under stable-baselines3's own policies: what survives, what learns, and what is shared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.evaluation import evaluate_policy

from agents import GymnasiumVecEnv, ImageReplayBuffer, PolicyConfig, ViTFeatures, ViTPolicy
from cls_env import ImageDataset

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
SPACE = spaces.Box(0, 255, (32, 32, 3), np.uint8)
SHORT: dict[type[BaseAlgorithm], dict[str, Any]] = {
    PPO: {"n_steps": 4, "batch_size": 16, "n_epochs": 2},
    A2C: {"n_steps": 2},
    DQN: {"learning_starts": 8, "buffer_size": 64, "replay_buffer_class": ImageReplayBuffer, "batch_size": 8},
    MaskablePPO: {"n_steps": 4, "batch_size": 16, "n_epochs": 2},
}


def images(count: int = 4) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8))


def make(algorithm: type[BaseAlgorithm], env: gym.vector.VectorEnv, policy: str, **kwargs: Any) -> BaseAlgorithm:
    kwargs = {"features_extractor_class": ViTFeatures, "net_arch": []} | kwargs
    return algorithm(policy, GymnasiumVecEnv(env), policy_kwargs=kwargs, seed=0, device="cpu", **SHORT[algorithm])


def test_features_are_those_of_the_policy_of_the_same_seeds() -> None:
    entries = {"peft_seed": 3, "blocks": (0, 1)}
    policy = ViTPolicy(SPACE, spaces.Discrete(5), lambda _: 1e-3, config=PolicyConfig(**entries))
    extractor = ViTFeatures(SPACE, **entries)
    assert torch.equal(extractor(images()), policy.features(images()))
    assert extractor.features_dim == extractor(images()).shape[1]


@pytest.mark.parametrize("channels_first", [False, True])
def test_integers_and_sb3s_floats_look_alike(channels_first: bool) -> None:
    seen = images().permute(0, 3, 1, 2) if channels_first else images()
    extractor = ViTFeatures(spaces.Box(0, 255, tuple(seen.shape[1:]), np.uint8))
    assert torch.equal(extractor(seen), extractor(seen.float() / 255))
    assert torch.equal(extractor(seen), ViTFeatures(SPACE)(images()))


@pytest.mark.parametrize("policy", ["CnnPolicy", "MlpPolicy"])
@pytest.mark.parametrize("algorithm", [PPO, A2C, DQN, MaskablePPO])
def test_pretrained_weights_survive_and_the_module_learns(
    algorithm: type[BaseAlgorithm], policy: str, make_vec: MakeVec, tmp_path: Path
) -> None:
    model = make(algorithm, make_vec(8, feedback="bandit"), policy)
    found = [module for module in model.policy.modules() if isinstance(module, ViTFeatures)]
    untouched = ViTPolicy(SPACE, spaces.Discrete(5), lambda _: 1e-3).features(images())  # shares nothing with it
    for extractor in found:
        assert torch.equal(extractor(images().permute(0, 3, 1, 2)), untouched)
    frozen = {name: tensor.clone() for name, tensor in found[0].backbone.named_buffers()}
    initial = {name: tensor.detach().clone() for name, tensor in found[0].backbone.named_parameters()}
    model.learn(64)
    moved = [name for name, tensor in found[0].backbone.named_parameters() if not torch.equal(tensor, initial[name])]
    assert moved and all("lora" in name for name in moved)
    assert all(torch.equal(tensor, frozen[name]) for name, tensor in found[0].backbone.named_buffers())

    learned = sum(tensor.numel() for group in model.policy.optimizer.param_groups for tensor in group["params"])
    assert learned < 30_000 < sum(tensor.numel() for tensor in frozen.values())
    model.save(tmp_path / "model.zip")
    assert (tmp_path / "model.zip").stat().st_size < 1_000_000  # the backbone alone would be 5 MB
    observations = np.moveaxis(images(8).numpy(), 3, 1)
    loaded = algorithm.load(tmp_path / "model.zip", device="cpu")
    assert np.array_equal(*(each.predict(observations, deterministic=True)[0] for each in (model, loaded)))


@pytest.mark.parametrize("algorithm", [PPO, A2C, DQN])
def test_sb3s_own_networks_run(algorithm: type[BaseAlgorithm], make_vec: MakeVec) -> None:
    larger = np.random.default_rng(0).integers(0, 256, size=(24, 40, 40, 3), dtype=np.uint8)
    labels = np.arange(24) % 4
    dataset = ImageDataset("larger", larger, labels, larger.copy(), labels.copy(), ("a", "b", "c", "d"))
    for policy in ("CnnPolicy", "MlpPolicy"):
        env = make_vec(8, dataset=dataset, num_tasks=2)
        model = algorithm(policy, GymnasiumVecEnv(env), seed=0, device="cpu", **SHORT[algorithm])
        model.learn(64)
        reward, _ = evaluate_policy(model, GymnasiumVecEnv(make_vec(8, dataset=dataset, num_tasks=2)), 16)
        assert 0 <= reward <= 1


def test_networks_of_one_policy_share_what_is_frozen(make_vec: MakeVec) -> None:
    model = make(DQN, make_vec(8), "CnnPolicy")
    ours, target = (net.features_extractor.backbone for net in (model.policy.q_net, model.policy.q_net_target))
    other = dict(target.named_buffers())
    assert all(tensor is other[name] for name, tensor in ours.named_buffers())
    assert not any(a is b for a, b in zip(ours.parameters(), target.parameters(), strict=True))

    apart = make(A2C, make_vec(8), "CnnPolicy", share_features_extractor=False).policy
    pairs = zip(apart.pi_features_extractor.buffers(), apart.vf_features_extractor.buffers(), strict=True)
    assert all(a is b for a, b in pairs if a.numel() > 3)  # but the three means and deviations of the pixels
    apart.double()  # moved or converted, they are still one
    pairs = zip(
        apart.pi_features_extractor.backbone.buffers(), apart.vf_features_extractor.backbone.buffers(), strict=True
    )
    assert all(a is b and a.dtype == torch.float64 for a, b in pairs if a.is_floating_point())


def test_extractors_of_other_modules_share_nothing() -> None:
    one, other = ViTFeatures(SPACE, peft_seed=0), ViTFeatures(SPACE, pretrained=False)
    mine = {id(tensor) for tensor in one.backbone.buffers()}
    assert not mine & {id(tensor) for tensor in other.backbone.buffers()}


def test_a_whole_backbone_learns_as_parameters() -> None:
    extractor = ViTFeatures(SPACE, peft="full")
    assert sum(tensor.numel() for tensor in extractor.backbone.parameters()) > 1_000_000
    assert extractor.train().backbone.training and not ViTFeatures(SPACE).train().backbone.training


def test_maskable_ppo_keeps_to_the_mask(make_vec: MakeVec) -> None:
    env = GymnasiumVecEnv(make_vec(8, task=1, feedback="bandit"))
    kwargs = {"features_extractor_class": ViTFeatures, "net_arch": []}
    model = MaskablePPO("CnnPolicy", env, policy_kwargs=kwargs, seed=0, device="cpu", **SHORT[MaskablePPO])
    model.learn(64)
    assert set(model.rollout_buffer.actions.flatten()) <= {2, 3}


@pytest.mark.parametrize(
    ("space", "entries", "message"),
    [
        (spaces.Box(0, 1, (32, 32, 3), np.float32), {}, "the ViT sees uint8 images"),
        (SPACE, {"metod": "lae"}, "unknown argument of ViTFeatures 'metod'"),
        (SPACE, {"method": "lae"}, "unknown argument of ViTFeatures 'method'"),
        (SPACE, {"peft": "lra"}, "did you mean 'lora'"),
    ],
)
def test_what_does_not_fit_is_refused(space: spaces.Box, entries: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ViTFeatures(space, **entries)


def test_pixels_of_0_to_255_as_floats_are_refused(make_vec: MakeVec) -> None:
    """With normalize_images=False stable-baselines3 hands them on so, and they were multiplied by 255."""
    model = make(A2C, make_vec(8), "CnnPolicy", normalize_images=False)
    with pytest.raises(
        ValueError, match=r"float images must be in \[0, 1\], but the largest value is .*normalize_images=True"
    ):
        model.learn(16)

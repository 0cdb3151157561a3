"""Random views in the learner, tasks that share their classes, and whole backbones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from agents import EPG
from cls_env import ImageDataset, TaskStream

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]


def weights(agent: EPG) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in agent.policy.state_dict().items()}


def test_views_are_drawn_by_the_seed(make_vec: MakeVec) -> None:
    def train(**arguments: object) -> EPG:
        return EPG("ViTPolicy", make_vec(8), batch_size=8, device="cpu", **({"seed": 0} | arguments)).learn(48)

    first, again, central = (weights(train(crop_scale=scale)) for scale in ((0.2, 1.0), (0.2, 1.0), None))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], central[name]) for name in first)


def test_views_differ_by_seed_and_by_task(make_vec: MakeVec) -> None:
    def first_draws(seed: int, tasks: int) -> list[float]:
        agent = EPG("ViTPolicy", make_vec(8), batch_size=8, seed=seed, device="cpu", crop_scale=(0.2, 1.0))
        vec_env, draws = agent.get_env(), []
        assert vec_env is not None
        for task in range(tasks):
            vec_env.set_options({"task": task})
            agent.learn(8)
            draws.append(float(torch.rand(1, generator=agent._views_generator)))
        return draws

    (a, b), (c, d) = first_draws(0, 2), first_draws(1, 2)
    assert len({a, b, c, d}) == 4 and first_draws(0, 2) == [a, b]


def test_views_of_images_that_are_not_square() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(16, 32, 48, 3), dtype=np.uint8)
    dataset = ImageDataset("wide", images, np.arange(16) % 4, images, np.arange(16) % 4, tuple("abcd"))
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=8, dataset=TaskStream(dataset, 2))
    EPG("ViTPolicy", env, batch_size=8, seed=0, device="cpu", crop_scale=(0.2, 1.0)).learn(16)


def test_loaded_agent_draws_the_views_of_the_saved_one(make_vec: MakeVec, tmp_path: Path) -> None:
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, device="cpu", crop_scale=(0.2, 1.0)).learn(8)  # no seed
    agent.save(tmp_path / "a")
    assert EPG.load(tmp_path / "a", device="cpu")._view_seed == agent._view_seed


def test_checkpoint_says_which_weights_file_it_wants(make_vec: MakeVec, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    backbone = timm.create_model("vit_micro_patch8_32", pretrained=True, num_classes=0)
    save_file(backbone.state_dict(), weights)
    for peft in ("lora", "full"):
        kwargs = {"weights": str(weights), "peft": peft}
        EPG("ViTPolicy", make_vec(8), batch_size=8, policy_kwargs=kwargs, seed=0, device="cpu").learn(8).save(
            tmp_path / peft
        )
    moved = weights.rename(tmp_path / "moved.safetensors")
    EPG.load(tmp_path / "full", device="cpu")  # holds all weights itself
    with pytest.raises(ValueError, match=r"w\.safetensors, which is not here; say where it is"):
        EPG.load(tmp_path / "lora", device="cpu")
    EPG.load(tmp_path / "lora", device="cpu", policy_kwargs={"weights": str(moved)})


def test_global_random_state_is_left_alone_by_views(make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, seed=0, device="cpu", crop_scale=(0.2, 1.0)).learn(8)
    before = torch.get_rng_state()
    agent.learn(16)
    assert torch.equal(before, torch.get_rng_state())


def test_prediction_sees_the_centre(make_vec: MakeVec, glyphs: ImageDataset) -> None:
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, seed=0, device="cpu", crop_scale=(0.05, 0.1)).learn(80)
    images = glyphs.test_images[:6]
    assert np.array_equal(agent.predict(images, deterministic=True)[0], agent.predict(images, deterministic=True)[0])
    logits = agent.policy(torch.from_numpy(images.copy()))
    agent.policy.set_training_mode(True)
    assert torch.equal(logits, agent.policy(torch.from_numpy(images.copy())))


def test_larger_images_are_cropped_to_the_models_size(glyphs: ImageDataset) -> None:
    larger = np.repeat(np.repeat(glyphs.train_images, 2, axis=1), 2, axis=2)
    stream = TaskStream(
        ImageDataset("larger", larger, glyphs.train_labels, larger, glyphs.train_labels, glyphs.class_names), 2
    )
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=8, dataset=stream)
    kwargs = {"input_size": 32}
    agent = EPG("ViTPolicy", env, batch_size=8, policy_kwargs=kwargs, crop_scale=(0.3, 1.0), seed=0, device="cpu")
    agent.learn(16)
    assert agent.predict(larger[:3])[0].shape == (3,)


def test_cached_features_and_random_views_exclude_each_other(make_vec: MakeVec) -> None:
    with pytest.raises(ValueError, match="cache_features=True and crop_scale can't be combined"):
        EPG("ViTPolicy", make_vec(8), batch_size=8, crop_scale=(0.1, 1.0), cache_features=True)
    with pytest.raises(ValueError, match="scale holds two shares"):
        EPG("ViTPolicy", make_vec(8), batch_size=8, crop_scale=(1.0, 0.1))


def test_views_are_saved_with_the_agent(make_vec: MakeVec, tmp_path: Path) -> None:
    EPG("ViTPolicy", make_vec(8), batch_size=8, seed=0, device="cpu", crop_scale=(0.2, 1.0)).learn(8).save(
        tmp_path / "a"
    )
    assert tuple(EPG.load(tmp_path / "a").crop_scale or ()) == (0.2, 1.0)


def test_domain_of_the_same_classes_is_a_new_task(glyphs: ImageDataset) -> None:
    stream = TaskStream(glyphs, scenario="domain-incremental", domains=["identity", "rotate-90"])
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=8, dataset=stream)
    agent = EPG("ViTPolicy", env, batch_size=8, seed=0, device="cpu").learn(16)
    vec_env = agent.get_env()
    assert vec_env is not None and agent.policy.network.tasks_begun == 1
    agent.learn(16)
    assert agent.policy.network.tasks_begun == 1
    vec_env.set_options({"task": 1})
    agent.learn(16)
    assert agent.policy.network.tasks_begun == 2 and len(agent.policy.network.head.actions) == 6


def test_new_classes_within_a_learn_call_are_refused(glyphs: ImageDataset) -> None:
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=8, dataset=TaskStream(glyphs, 3, scenario="online"))
    agent = EPG("ViTPolicy", env, batch_size=8, seed=0, device="cpu").learn(24)  # all images of the first task
    with pytest.raises(ValueError, match="moved on to new classes during learn"):
        agent.learn(32)


def test_whole_backbone_learns_and_is_saved(make_vec: MakeVec, glyphs: ImageDataset, tmp_path: Path) -> None:
    kwargs = {"model": "test_resnet.r160_in1k", "pretrained": False, "peft": "full"}
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, policy_kwargs=kwargs, seed=0, device="cpu")
    before = weights(agent)
    agent.learn(32)
    after = weights(agent)
    moved = [
        name
        for name in before
        if before[name].shape == after[name].shape and not torch.equal(before[name], after[name])
    ]
    assert any("running_mean" in name for name in moved) and any(name.endswith("conv1.weight") for name in moved)
    agent.save(tmp_path / "whole")
    images = glyphs.test_images
    loaded = EPG.load(tmp_path / "whole", device="cpu")
    assert torch.equal(agent.policy(torch.tensor(images)), loaded.policy(torch.tensor(images)))
    other = EPG.load(tmp_path / "whole", device="cpu", seed=5)  # another random start: all weights are in the file
    assert torch.equal(agent.policy(torch.tensor(images)), other.policy(torch.tensor(images)))


def test_callback_that_tests_leaves_the_training_mode_alone(make_vec: MakeVec, glyphs: ImageDataset) -> None:
    kwargs = {"model": "test_resnet.r160_in1k", "pretrained": False, "peft": "full"}

    def train(**arguments: object) -> dict[str, torch.Tensor]:
        agent = EPG("ViTPolicy", make_vec(8), batch_size=8, policy_kwargs=kwargs, seed=0, device="cpu")
        return weights(agent.learn(40, **arguments))

    plain = train()
    tested = train(callback=lambda local, _: local["self"].predict(glyphs.test_images[:2]) is not None)
    assert all(torch.equal(plain[name], tested[name]) for name in plain)

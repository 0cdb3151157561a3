"""Streams of which a part is poisoned, and agents that are trained on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from agents import EPG
from agents.evaluation import evaluate_tasks
from agents.methods import METHODS, NO_OBJECTIVE
from agents.networks.feature_memory import FeatureMemory
from agents.policy import ViTPolicy
from cls_env import ImageDataset, TaskStream
from cls_env.specification import parse_specification
from tests.agents.policies import TINY

TRIED = (
    "sequential",
    "lae",
    "inflora",
    "sd-lora",
    "der++",
    "dualprompt",
    "coda-prompt:components=30",
    "ranpac:projections=100",
    "ncm",
)
"""Methods of each kind: none, averaged, a module for each task, a buffer, prompts, statistics."""
WITHOUT_MEMORY = tuple(name for name in TRIED if name != "der++")
Rows = np.ndarray[Any, np.dtype[np.int64]]


def noise(shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(7).integers(256, size=shape, dtype=np.uint8)


def with_poisoned_images(dataset: ImageDataset, rows: Rows) -> ImageDataset:
    """The dataset with noise in place of some training images."""
    images = np.array(dataset.train_images)
    images[rows] = noise(images[rows].shape)
    return replace(dataset, train_images=images)


def with_shifted_labels(dataset: ImageDataset, rows: Rows) -> ImageDataset:
    """The dataset in which the labels of some training images have moved on by one image."""
    labels = np.array(dataset.train_labels)
    labels[rows] = np.roll(labels[rows], 1)
    return replace(dataset, train_labels=labels)


def with_poisoned_test(dataset: ImageDataset) -> ImageDataset:
    """The dataset with noise in place of all test images, and with other labels of them."""
    return replace(dataset, test_images=noise(dataset.test_images.shape), test_labels=np.roll(dataset.test_labels, 3))


def vector_env(stream: TaskStream, num_envs: int = 8, **arguments: Any) -> gym.vector.VectorEnv[Any, Any, Any]:
    return gym.make_vec("cls_env/ClassIncremental-v0", num_envs=num_envs, dataset=stream, **arguments)


def new_agent(method: str, stream: TaskStream) -> EPG:
    """An untrained agent on batches of 8, with a tiny backbone."""
    kind = METHODS[parse_specification(method)[0]]
    kwargs = TINY | {"method": method, "peft": kind.peft_or_default("lora"), "blocks": (0, 1, 2)}
    objective = "aepg" if kind.learns_by_gradient else NO_OBJECTIVE
    shared = {"batch_size": 8, "learning_rate": 1e-2, "seed": 0, "device": "cpu", "cache_features": True}
    return EPG("ViTPolicy", vector_env(stream), objective, policy_kwargs=kwargs, **shared)


def learn(agent: EPG, tasks: Iterable[int], tested_on: TaskStream | None = None, images: int = 32) -> EPG:
    """Learn some tasks; after each, test all so far, if there is something to test on."""
    memory = FeatureMemory()
    for task in tasks:
        env = agent.get_env()
        env.seed(task)
        env.set_options({"task": agent.policy.method.training_tasks(task)})
        agent.learn(images, reset_num_timesteps=agent.policy.network.tasks_begun == 0)
        if tested_on is not None:
            evaluate_tasks(agent.policy, vector_env(tested_on, 7, split="test"), range(task + 1), memory=memory)
    return agent


def assert_bit_equal(one: ViTPolicy, other: ViTPolicy) -> None:
    """All tensors of two policies agree: those of backbone, module, method and head."""
    first, second = one.state_dict(), other.state_dict()
    assert first.keys() == second.keys()
    different = [name for name, tensor in first.items() if not torch.equal(tensor, second[name])]
    assert not different

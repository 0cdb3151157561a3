"""Agents and callbacks that tests of algorithms share."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from stable_baselines3.common.callbacks import BaseCallback

from agents import EPG
from cls_env import ImageDataset, TaskStream, load_dataset
from tests.agents.policies import TINY

MakeVec = Callable[..., gym.vector.VectorEnv]


@pytest.fixture
def make_agent(make_vec: MakeVec) -> Callable[..., EPG]:
    """`make_agent(**arguments)`: untrained, on batches of 8, with a tiny backbone."""

    def make(**arguments: Any) -> EPG:
        kwargs = TINY | arguments.pop("policy_kwargs", {})
        defaults = {"env": make_vec(8), "batch_size": 8, "seed": 0, "learning_rate": 2e-3, "device": "cpu"}
        return EPG("ViTPolicy", policy_kwargs=kwargs, **(defaults | arguments))

    return make


def learn_tasks(agent: EPG, tasks: range, images: int = 80, **arguments: object) -> EPG:
    for task in tasks:
        agent.get_env().seed(task)
        agent.get_env().set_options({"task": task})
        agent.learn(images, reset_num_timesteps=task == 0, **arguments)
    return agent


class Watcher(BaseCallback):
    """Calls a function after every environment step."""

    def __init__(self, watch: Callable[[EPG], object]) -> None:
        super().__init__()
        self.watch = watch

    def _on_step(self) -> bool:
        return self.watch(self.model) is not False


def rewritten(source: Path, target: Path, changes: dict[str, bytes | None]) -> Path:
    with zipfile.ZipFile(source) as reader, zipfile.ZipFile(target, "w") as writer:
        for name in reader.namelist():
            content = changes.get(name, reader.read(name))
            if content is not None:
                writer.writestr(name, content)
    return target


@pytest.fixture(scope="module")
def eight() -> ImageDataset:
    """Eight easy glyph classes."""
    return load_dataset("glyphs", num_classes=8, train_per_class=10, test_per_class=4, hard_fraction=0.0, margin=0)


@pytest.fixture(scope="module")
def six(eight: ImageDataset) -> ImageDataset:
    """The first six of them."""
    train, test = eight.train_labels < 6, eight.test_labels < 6
    return ImageDataset(
        "six",
        eight.train_images[train],
        eight.train_labels[train],
        eight.test_images[test],
        eight.test_labels[test],
        eight.class_names[:6],
    )


def env_of(dataset: ImageDataset, order: list[int], num_tasks: int, envs: int = 8, **more: Any) -> Any:
    stream = TaskStream(dataset, num_tasks, class_order=order)
    return gym.make_vec("cls_env/ClassIncremental-v0", num_envs=envs, dataset=stream, **more)

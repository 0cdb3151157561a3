"""Folders of images, and models that were trained on them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from agents import EPG
from agents.methods import NO_OBJECTIVE, make_method
from cls_env import TaskStream, load_dataset
from tests.agents.methods.conftest import SMALL, learn, module_of
from tests.agents.policies import TINY

COLORS = {"ant": 0, "bee": 1, "cat": 2, "dog": 3, "elk": 4, "fox": 5}
MAY = ("bee", "cat", "dog", "elk")


def make_folder(root: Path, *names: str) -> Path:
    """A folder of classes that are told apart by their color, ten images each."""
    for name in names:
        random = np.random.default_rng(COLORS[name])
        (root / name).mkdir(parents=True)
        for index in range(10):
            pixels = random.integers(0, 60, size=(32, 32, 3), dtype=np.uint8)
            pixels[..., COLORS[name] % 3] += np.uint8(60 + 60 * (COLORS[name] // 3))
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


@pytest.fixture(scope="session")
def may(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("may"), *MAY)


@pytest.fixture(scope="session")
def june(may: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classes of May, one before them and one after."""
    root = tmp_path_factory.mktemp("june")
    shutil.copytree(may, root, dirs_exist_ok=True)
    return make_folder(root, "ant", "fox")


@pytest.fixture(scope="session")
def new_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("new"), "ant", "fox")


@pytest.fixture(scope="session")
def make_model(may: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`make_model(method, **arguments)`: file of a tiny model that learned the classes of May in two tasks."""

    def make(method: str = "sequential", tasks: int = 2, **arguments: Any) -> Path:
        dataset = load_dataset("folder", root=may, image_size=32)
        stream = TaskStream(dataset, 2, class_order=[2, 0, 3, 1])
        env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=8, dataset=stream)
        kwargs = TINY | {"method": SMALL.get(method, method), "peft": module_of(method), "blocks": (0, 1, 2)}
        objective = "ce" if make_method(method).learns_by_gradient else NO_OBJECTIVE
        own = {"objective": objective, "batch_size": 8, "learning_rate": 1e-2, "seed": 0, "device": "cpu"}
        agent = learn(EPG("ViTPolicy", env, policy_kwargs=kwargs, **(own | arguments)), range(tasks), 32)
        file = tmp_path_factory.mktemp("models") / "may.zip"
        agent.save(file)
        return file

    return make


@pytest.fixture(scope="session")
def model(make_model: Callable[..., Path]) -> Path:
    return make_model()

"""A small saved model."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest

from agents import EPG
from cls_env import TaskStream, load_dataset
from tests.agents.algorithms.conftest import learn_tasks
from tests.agents.policies import EMBEDDED


@pytest.fixture(scope="session")
def model_file(image_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of all four classes of the image tree."""
    stream = TaskStream(load_dataset("folder", root=image_tree, image_size=32), 2, class_order="natural")
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=4, dataset=stream)
    arguments = {"batch_size": 4, "learning_rate": 2e-3, "seed": 0, "device": "cpu"}
    agent = learn_tasks(EPG("ViTPolicy", env, policy_kwargs=EMBEDDED, **arguments), range(2), 48)
    file = tmp_path_factory.mktemp("model") / "model.zip"
    agent.save(file)
    return file

"""Streams and helpers for evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

import cls_env
from cls_env import TaskStream
from cls_env.envs.shared_evaluation import WATCH

TASKS = [0, 1, 2]


class Counting:
    """Counts the images that an evaluation counts; its answers are right for class 0 alone."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[Any, None]:
        self.shown = np.array(observation)
        return np.zeros(len(observation), dtype=np.int64), None

    def evaluate(self, envs: Any, episodes: int) -> float:
        self.seen = []

        def count(local: dict[str, Any], _: dict[str, Any]) -> None:
            self.seen.append(self.shown[local["i"]].tobytes())

        return float(evaluate_policy(self, envs, episodes, callback=count, warn=False)[0])


@pytest.fixture(autouse=True)
def _nothing_warned_yet() -> None:
    WATCH.__init__()


@pytest.fixture(scope="session")
def uneven(glyphs: cls_env.ImageDataset) -> TaskStream:
    """30 test images in three tasks."""
    return TaskStream(glyphs, 3, seed=1)


def images_of(stream: TaskStream, tasks: list[int] = TASKS) -> list[bytes]:
    rows = np.concatenate([stream.tasks[task].test_indices for task in tasks])
    return sorted(image.tobytes() for image in stream.dataset.test_images[rows])


def single_envs(kind: Any, stream: TaskStream, count: int) -> Any:
    arguments = {"dataset": stream, "split": "test", "task": TASKS}
    return make_vec_env("cls_env/ClassIncremental-v0", count, env_kwargs=arguments, vec_env_cls=kind)

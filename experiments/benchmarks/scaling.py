"""Whether a task takes as long in a long stream, and among many classes, as in a short stream with few classes."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch

from agents import EPG
from cls_env import ImageDataset, TaskStream
from experiments.benchmarks.measuring import Measurement, compare_rates
from experiments.benchmarks.sides import learning, testing

TASKS = (5, 100)
CLASSES = (10, 1000)
BATCH = 32
BATCHES = 20
IMAGES_PER_TASK = 1000


def benchmark_scaling(repeats: int) -> list[Measurement]:
    """Images a second in the last task of a stream against those of a smaller stream, in learning and in tests.

    A task has as many images in both. The learner is sequential, with aEPG and all of the module unfrozen, on one CPU
    thread. First the stream has 100 tasks of two classes, against 5; then 5 tasks of 200 classes, against 5 of two.
    """
    torch.set_num_threads(1)
    rows = []
    for row, few, many in (
        ("{} tasks / {} tasks, 2 classes each".format(*reversed(TASKS)), (TASKS[0], 2), (TASKS[1], 2)),
        ("{} classes / {} classes, 5 tasks".format(*reversed(CLASSES)), (5, CLASSES[0] // 5), (5, CLASSES[1] // 5)),
    ):
        streams = [TaskStream(_random_images(*size), size[0]) for size in (many, few)]
        large, small = agents = [_learned(stream) for stream in streams]
        rows.append(
            compare_rates(f"learning, {row}", learning(large, BATCHES), learning(small, BATCHES), "images/s", repeats)
        )
        large_test, small_test = (testing(agent, stream, 256) for agent, stream in zip(agents, streams, strict=True))
        rows.append(compare_rates(f"test, {row}", large_test, small_test, "images/s", repeats))
    return rows


def _learned(stream: TaskStream) -> EPG:
    """An agent in the last task of a stream of random images, after one step in each."""
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=BATCH, dataset=stream)
    agent = EPG("ViTPolicy", env, batch_size=BATCH, freeze_fraction=0.0, seed=0, device="cpu")
    view = agent.get_env()
    assert view is not None
    for task in range(len(stream.tasks)):
        view.set_options({"task": task})
        agent.learn(BATCH)
    return agent


def _random_images(tasks: int, classes: int) -> ImageDataset:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(tasks * classes), IMAGES_PER_TASK // classes)
    images = rng.integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8)
    names = tuple(f"class {index}" for index in range(tasks * classes))
    return ImageDataset("random images", images, labels, images, labels, names)

"""Images a second in bfloat16 against float32, of a ViT-S on the CPU."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from agents import EPG
from cls_env import ImageDataset, TaskStream
from experiments.benchmarks.measuring import Measurement, compare_rates
from experiments.benchmarks.sides import learning, testing

MODEL = "vit_small_patch16_224"
BATCH = 8
BATCHES = 2


def benchmark_precision(repeats: int) -> list[Measurement]:
    """Learning of the head alone, of head and LoRA, and tests; with random weights and images, on all CPU threads.

    A CPU with AMX multiplies in bfloat16 natively. Features are not cached.
    """
    stream = TaskStream(_random_images(), 1)
    rows = []
    for phase, head_alone in (("head alone", True), ("all of LoRA", False)):
        bfloat16, float32 = (learning(_agent(stream, each, head_alone), BATCHES) for each in ("bfloat16", "float32"))
        rows.append(compare_rates(f"bfloat16 / float32, {phase}, {MODEL}", bfloat16, float32, "images/s", repeats))
    bfloat16, float32 = (testing(_agent(stream, each, False), stream, BATCH) for each in ("bfloat16", "float32"))
    return [*rows, compare_rates(f"bfloat16 / float32, test, {MODEL}", bfloat16, float32, "images/s", repeats)]


def _random_images() -> ImageDataset:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH * BATCHES, 224, 224, 3), dtype=np.uint8)
    labels = np.arange(len(images)) % 2
    return ImageDataset("random images", images, labels, images, labels, ("first", "second"))


def _agent(stream: TaskStream, precision: str, head_alone: bool) -> EPG:
    """An agent in its first task, which trains the head alone or LoRA too."""
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=BATCH, dataset=stream)
    settings: dict[str, Any] = {"precision": precision, "cache_features": False, "seed": 0, "device": "cpu"}
    policy = {"model": MODEL, "pretrained": False, "peft": "none" if head_alone else "lora"}
    agent = EPG("ViTPolicy", env, batch_size=BATCH, policy_kwargs=policy, **settings)
    return agent.learn(BATCH)

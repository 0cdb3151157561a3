"""Agents with random weights on random images: as fast as others, and nothing must be fetched."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import gymnasium as gym
import numpy as np

from agents import EPG
from cls_env import ImageDataset, TaskStream
from experiments.benchmarks.gpu.settings import CROP_SCALE, PATHS, GpuSettings

BATCHES = 8


@lru_cache(maxsize=1)
def random_dataset(images: int, side: int, classes: int) -> ImageDataset:
    """Random images, not zeros, which a GPU multiplies faster; a fourth as many test images."""
    random = np.random.default_rng(0)
    train, test = (random.integers(0, 256, (count, side, side, 3), np.uint8) for count in (images, images // 4))
    labels = np.arange(images) % classes
    return ImageDataset("random", train, labels, test, labels[: len(test)], tuple(map(str, range(classes))))


def few_images(settings: GpuSettings) -> ImageDataset:
    """The images of some batches."""
    count = min(settings.images, BATCHES * settings.batch_size)
    return random_dataset(count, settings.observed_size, min(settings.classes, count // 4))


def random_agent(settings: GpuSettings, path: str, **changes: Any) -> EPG:
    """An agent of LoRA in bfloat16 on random crops of one task.

    Args:
        settings: The benchmark's.
        path: A name in `PATHS`.
        **changes: Further arguments of `EPG`.
    """
    stream = TaskStream(few_images(settings), 1)
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=settings.batch_size, dataset=stream)
    kwargs = {"model": settings.model, "pretrained": False, "input_size": settings.image_size}
    arguments: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "crop_scale": CROP_SCALE,
        "precision": "bfloat16",
        "device": settings.device,
        "seed": 0,
    }
    return EPG("ViTPolicy", env, policy_kwargs=kwargs, **(arguments | PATHS[path] | changes))

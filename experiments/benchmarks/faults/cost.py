"""What a checkpoint within a task costs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch

from agents import EPG, SaveTraining
from cls_env import ImageDataset, TaskStream
from experiments.config.comparison import CHECKPOINT_EVERY

STEPS, BATCH, CLASSES = 4, 8, 10
AGENTS: dict[str, dict[str, Any]] = {
    "micro ViT, LoRA": {"model": "vit_micro_patch8_32"},
    "micro ViT, DER++ of 500 images": {"model": "vit_micro_patch8_32", "method": "der++:size=500"},
    "ViT-B/16, LoRA": {"model": "vit_base_patch16_224"},
    "ViT-B/16, LAE": {"model": "vit_base_patch16_224", "method": "lae"},
    "ViT-S/16, whole backbone": {"model": "vit_small_patch16_224", "peft": "full"},
}
"""Entries of the policy, whose weights are random where none are embedded."""


class Cost(NamedTuple):
    """What a checkpoint of an agent costs.

    Attributes:
        agent: The agent.
        seconds: To write one.
        bytes: Of the file.
        share: Of the time of a run with a checkpoint every `CHECKPOINT_EVERY` minutes.
    """

    agent: str
    seconds: float
    bytes: int
    share: float


def costs() -> Iterator[Cost]:
    """Measure the checkpoints of some agents."""
    for name, entries in AGENTS.items():
        with tempfile.TemporaryDirectory() as folder:
            saving = SaveTraining(folder, minutes=0)
            agent(entries).learn(STEPS * BATCH, callback=saving)
            seconds = saving.seconds / saving.num_saved
            size = max(file.stat().st_size for file in Path(folder).iterdir())
        yield Cost(name, seconds, size, seconds / (60 * CHECKPOINT_EVERY))


def agent(entries: dict[str, Any]) -> EPG:
    """An agent on random images of the size that its model sees."""
    embedded = entries["model"].startswith("vit_micro")
    side = 32 if embedded else 224
    random, labels = np.random.default_rng(0), np.arange(2 * BATCH) % CLASSES
    images = random.integers(0, 256, (len(labels), side, side, 3), np.uint8)
    data = ImageDataset("random", images, labels, images, labels, tuple(map(str, range(CLASSES))))
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=BATCH, dataset=TaskStream(data, 1))
    torch.manual_seed(0)
    return EPG("ViTPolicy", env, batch_size=BATCH, policy_kwargs={"pretrained": embedded} | entries, seed=0)

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.utils import set_random_seed

from agents.sb3.replay_buffer import ImageReplayBuffer, ImageTable

SPACE, ACTIONS = spaces.Box(0, 255, (3, 4, 4), np.uint8), spaces.Discrete(5)


def fill(buffer: ReplayBuffer, steps: int, num_images: int, n_envs: int = 3) -> None:
    random = np.random.default_rng(0)
    pool = random.integers(0, 256, (num_images, *SPACE.shape), dtype=np.uint8)
    for _ in range(steps):
        shown = pool[random.integers(0, num_images, n_envs)]
        action = random.integers(0, 5, n_envs)
        buffer.add(shown, shown, action, random.random(n_envs), np.ones(n_envs), [{} for _ in range(n_envs)])


@pytest.mark.parametrize("steps", [4, 10, 37])
def test_it_samples_what_sb3s_buffer_samples(steps: int) -> None:
    theirs = ReplayBuffer(30, SPACE, ACTIONS, "cpu", n_envs=3)
    ours = ImageReplayBuffer(30, SPACE, ACTIONS, "cpu", n_envs=3)
    samples = []
    for buffer in (theirs, ours):
        fill(buffer, steps, num_images=7)
        set_random_seed(0)
        samples.append(buffer.sample(50))
    for name in ("observations", "actions", "next_observations", "dones", "rewards"):
        a, b = (getattr(sample, name) for sample in samples)
        assert torch.equal(a, b) and a.dtype == b.dtype, name


def test_every_image_is_kept_once_and_forgotten_with_its_last_transition() -> None:
    buffer = ImageReplayBuffer(30, SPACE, ACTIONS, "cpu", n_envs=3)
    fill(buffer, 10, num_images=5)
    assert len(buffer.table) == 5
    fill(buffer, 200, num_images=1_000_000)  # all different: those of overwritten transitions make room
    assert len(buffer.table) == 30 and len(buffer.table.images) == 64
    buffer.reset()
    assert len(buffer.table) == 0 and buffer.size() == 0


def test_rows_grow_and_are_used_again() -> None:
    table = ImageTable((2,), np.dtype(np.uint8))
    pictures = np.arange(200, dtype=np.uint8).reshape(100, 2)
    rows = table.refer(pictures)
    assert sorted(rows.tolist()) == list(range(100)) and np.array_equal(table.images[rows], pictures)
    assert np.array_equal(table.refer(pictures), rows)
    table.release(rows[:10])
    assert len(table) == 100
    table.release(rows[:10])
    assert len(table) == 90
    new = table.refer(np.full((10, 2), 255, dtype=np.uint8) - np.arange(20, dtype=np.uint8).reshape(10, 2))
    assert set(new.tolist()) == set(rows[:10].tolist())
    assert np.array_equal(table.images[rows[10:]], pictures[10:])


@pytest.mark.parametrize(
    ("space", "arguments", "message"),
    [
        (spaces.Discrete(3), {}, "keeps observations of a Box"),
        (SPACE, {"optimize_memory_usage": True}, "leave optimize_memory_usage out"),
    ],
)
def test_what_does_not_fit_is_refused(space: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageReplayBuffer(10, space, ACTIONS, "cpu", **arguments)

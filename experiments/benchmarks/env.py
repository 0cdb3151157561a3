"""Images a second of the native vector env against Gymnasium's SyncVectorEnv of the single env."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from numpy.typing import NDArray

from cls_env import TaskStream
from experiments.benchmarks.measuring import Row, Side, compare_rates

NUM_ENVS = 256


def benchmark_env(repeats: int) -> list[Row]:
    """Both sides step 256 environments of the default stream with the same random actions, through `gym.make`."""
    stream = TaskStream("glyphs")
    native = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=NUM_ENVS, dataset=stream)
    synchronous = SyncVectorEnv(
        [lambda: gym.make("cls_env/ClassIncremental-v0", dataset=stream)] * NUM_ENVS,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    actions = np.random.default_rng(0).integers(stream.num_classes, size=(200, NUM_ENVS))
    return [
        compare_rates(
            f"vector env / SyncVectorEnv, 32 px, {NUM_ENVS} envs",
            _stepping(native, actions),
            _stepping(synchronous, actions[:5]),
            "images/s",
            repeats,
        )
    ]


def _stepping(env: VectorEnv[Any, Any, Any], actions: NDArray[np.int64]) -> Side:
    env.reset(seed=0)

    def side() -> int:
        for row in actions:
            env.step(row)
        return int(actions.size)

    return side

"""Images a second of the native vector env, and of stable-baselines3's view of it, against environments in a loop."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents import GymnasiumVecEnv
from cls_env import TaskStream
from experiments.benchmarks.measuring import Measurement, Side, compare_rates

NUM_ENVS = 256


def benchmark_env(repeats: int) -> list[Measurement]:
    """All sides step 256 environments of the default stream with the same random actions."""
    stream = TaskStream("glyphs", dataset_options={"margin": 0})

    def single() -> gym.Env[Any, Any]:
        return gym.make("cls_env/ClassIncremental-v0", dataset=stream)

    def native() -> VectorEnv[Any, Any, Any]:
        return gym.make_vec("cls_env/ClassIncremental-v0", num_envs=NUM_ENVS, dataset=stream)

    synchronous = SyncVectorEnv([single] * NUM_ENVS, autoreset_mode=AutoresetMode.SAME_STEP)
    dummy = DummyVecEnv([lambda: Monitor(single())] * NUM_ENVS)
    actions = np.random.default_rng(0).integers(stream.num_classes, size=(200, NUM_ENVS))
    pairs: dict[str, tuple[Side, Side]] = {
        "vector env / SyncVectorEnv": (_stepping(native(), actions), _stepping(synchronous, actions[:5])),
        "SB3 view of the vector env / DummyVecEnv": (
            _stepping(GymnasiumVecEnv(native()), actions),
            _stepping(dummy, actions[:5]),
        ),
        "SB3 view of the vector env / the vector env": (
            _stepping(GymnasiumVecEnv(native()), actions),
            _stepping(native(), actions),
        ),
    }
    return [
        compare_rates(f"{name}, 32 px, {NUM_ENVS} envs", *sides, "images/s", repeats) for name, sides in pairs.items()
    ]


def _stepping(env: VectorEnv[Any, Any, Any] | VecEnv, actions: NDArray[np.int64]) -> Side:
    env.reset()

    def side() -> int:
        for row in actions:
            env.step(row)
        return int(actions.size)

    return side

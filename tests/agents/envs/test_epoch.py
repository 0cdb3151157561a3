from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from agents import GymnasiumVecEnv
from agents.envs.epoch import Epoch
from agents.envs.observation_info import observation_info
from agents.envs.vec_env import as_vec_env
from cls_env import TaskStream

MakeVec = Callable[..., gym.vector.VectorEnv]


def separate(stream: TaskStream, count: int) -> gym.vector.VectorEnv:
    """Environments that shuffle each for itself."""
    make = lambda: gym.make("cls_env/ClassIncremental-v0", dataset=stream)  # noqa: E731
    return SyncVectorEnv([make] * count, autoreset_mode=AutoresetMode.SAME_STEP)


def looked_at(one_pass: Epoch) -> list[int]:
    return [index for _, info, rows in one_pass for index in info.image_index[rows]]


@pytest.mark.parametrize("count", [1, 5, 8, 100])
@pytest.mark.parametrize("native", [True, False])
def test_each_image_once(native: bool, count: int, make_vec: MakeVec, stream: TaskStream) -> None:
    env = GymnasiumVecEnv(make_vec(count) if native else separate(stream, min(count, 8)))
    env.set_options({"task": 1})
    one_pass = Epoch(env, 6)
    for _ in range(2):
        assert sorted(looked_at(one_pass)) == sorted(stream.tasks[1].train_indices.tolist())
    assert one_pass.count == 48


def test_a_single_environment(stream: TaskStream) -> None:
    env = as_vec_env(gym.make("cls_env/ClassIncremental-v0", dataset=stream))
    env.reset()
    assert sorted(looked_at(Epoch(env, 6))) == sorted(stream.tasks[0].train_indices.tolist())


@pytest.mark.parametrize("wrap", [lambda env: env, VecMonitor])
def test_training_begins_as_it_would_have_begun(wrap: Callable[..., object], make_vec: MakeVec) -> None:
    env = wrap(GymnasiumVecEnv(make_vec(8)))
    env.seed(3)
    env.set_options({"task": 2})
    one_pass = Epoch(env, 6)
    begun = env.reset().copy()
    looked_at(one_pass)
    assert np.array_equal(one_pass.reset(), begun)
    assert observation_info(env, 6).task.tolist() == [2] * 8


def test_different_tasks_are_refused(stream: TaskStream) -> None:
    """The images of one of them alone would be looked through."""
    env = DummyVecEnv([lambda: gym.make("cls_env/ClassIncremental-v0", dataset=stream)] * 2)
    env.set_options([{"task": 0}, {"task": 1}])
    with pytest.raises(ValueError, match="the environments have different tasks"):
        looked_at(Epoch(env, 6))

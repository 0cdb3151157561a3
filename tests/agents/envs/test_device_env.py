"""The native vector environment with its images on a device, against the environment itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded

from agents.envs.device_env import DeviceVectorEnv

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]

KINDS: list[dict[str, Any]] = [
    {},
    {"task": [0, 2]},
    {"feedback": "bandit"},
    {"reward_noise": "gaussian:deviation=0.5"},
    {"abstain_reward": 0.3},
    {"reward_matrix": np.arange(36).reshape(6, 6) / 36},
    {"task_schedule": 20},
    {"split": "test"},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_it_is_the_environment_itself(kind: dict[str, Any], make_vec: MakeVec) -> None:
    host, twin = make_vec(8, **kind), DeviceVectorEnv(make_vec(8, **kind), "cpu")
    expected, told = host.reset(seed=3)
    images, info = twin.reset(seed=3)
    random = np.random.default_rng(0)
    for step in range(20):
        assert np.array_equal(expected, images.numpy())
        for name, values in info.items():
            if name != "final_info":
                assert np.array_equal(told[name], values.numpy()), name
        assert set(info) - {"final_info"} == {name for name in told if not name.startswith(("_", "final_"))}
        actions = random.integers(0, host.single_action_space.n, 8)
        if step == 10:
            options = None if "task_schedule" in kind else {"task": 1}
            expected, told = host.reset(options=options)
            images, info = twin.reset(options=options)
            continue
        expected, rewards, ended, cut, told = host.step(actions)
        images, paid, terminated, truncated, info = twin.step(torch.from_numpy(actions))
        assert np.array_equal(rewards, paid.double().numpy())
        assert np.array_equal(ended, terminated.numpy())
        assert np.array_equal(cut, truncated.numpy())
        success = told["final_info"].get("is_success")
        assert (success is None) == ("final_info" not in info)
        if success is not None:
            assert np.array_equal(success, info["final_info"]["is_success"].numpy())
    assert twin.env.num_episodes == host.unwrapped.num_episodes
    assert twin.env.total_regret == pytest.approx(host.unwrapped.total_regret, abs=1e-6)


def test_either_may_be_stepped(make_vec: MakeVec) -> None:
    env, other = make_vec(4), make_vec(4)
    twin = DeviceVectorEnv(env, "cpu")
    twin.reset(seed=0)
    other.reset(seed=0)
    zeros = np.zeros(4, dtype=np.int64)
    env.step(zeros)
    shown = twin.step(torch.zeros(4, dtype=torch.int64))[0]
    other.step(zeros)
    assert np.array_equal(shown.numpy(), other.step(zeros)[0])


def test_a_step_before_a_reset_is_refused(make_vec: MakeVec) -> None:
    with pytest.raises(ResetNeeded, match="reset"):
        DeviceVectorEnv(make_vec(4), "cpu").step(torch.zeros(4, dtype=torch.int64))


def test_wrapped_and_foreign_environments_are_refused(make_vec: MakeVec) -> None:
    wrapped = gym.wrappers.vector.RecordEpisodeStatistics(make_vec(4))
    for env in (wrapped, gym.make_vec("CartPole-v1", num_envs=2)):
        with pytest.raises(ValueError, match=r"takes gym.make_vec of an id of cls_env, without wrappers"):
            DeviceVectorEnv(env)

"""stable-baselines3's view of the native vector environment."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize, VecTransposeImage

from agents import GymnasiumVecEnv

MakeVec = Callable[..., gym.vector.VectorEnv]


def test_infos_hold_what_sb3_reads_and_no_more(make_vec: MakeVec) -> None:
    env = GymnasiumVecEnv(make_vec(8))
    shown = env.reset()
    _, rewards, dones, infos = env.step(np.arange(8) % 6)
    assert all(set(info) == {"episode", "is_success", "terminal_observation", "TimeLimit.truncated"} for info in infos)
    for index, info in enumerate(infos):
        assert info["episode"]["r"] == rewards[index] == float(info["is_success"]) and info["episode"]["l"] == 1
        assert np.array_equal(info["terminal_observation"], shown[index]) and info["TimeLimit.truncated"] is False
    assert dones.all() and rewards.dtype == np.float32
    assert np.array_equal(env.batch_info["final_info"]["label"] == np.arange(8) % 6, rewards == 1)


def test_reset_infos_speak_of_the_images_on_display(make_vec: MakeVec) -> None:
    env = GymnasiumVecEnv(make_vec(8))
    env.reset()
    observations = env.step(np.zeros(8, dtype=np.int64))[0]
    images = env.venv.unwrapped.stream.dataset.train_images
    for observation, info in zip(observations, env.reset_infos, strict=True):
        assert np.array_equal(images[info["image_index"]], observation)
        assert info["action_rewards"][info["label"]] == 1


def test_it_pays_what_sb3s_own_dummy_env_pays(make_vec: MakeVec, stream: object) -> None:
    native = GymnasiumVecEnv(make_vec(1))
    dummy = DummyVecEnv([lambda: gym.make("cls_env/ClassIncremental-v0", dataset=stream)])
    for env in (native, dummy):
        env.seed(3)
        env.reset()
    for action in np.arange(30) % 6:
        ours, theirs = (env.step(np.array([action])) for env in (native, dummy))
        for a, b in zip(ours[:3], theirs[:3], strict=True):
            assert np.array_equal(a, b)
        assert ours[3][0]["is_success"] == theirs[3][0]["is_success"]


def test_masks_are_each_ones_own(make_vec: MakeVec) -> None:
    env = GymnasiumVecEnv(make_vec(8, task=1))
    env.reset()
    for wrapped in (env, VecTransposeImage(env)):
        assert is_masking_supported(wrapped)
        masks = get_action_masks(wrapped)
        assert masks.dtype == bool and masks.tolist() == [[False, False, True, True, False, False]] * 8


def test_sb3s_wrappers_go_on_it(make_vec: MakeVec) -> None:
    env = VecNormalize(VecMonitor(GymnasiumVecEnv(make_vec(8))), norm_obs=False)
    env.reset()
    *_, infos = env.step(np.zeros(8, dtype=np.int64))
    assert [info["episode"]["r"] for info in infos] == env.get_original_reward().tolist()


def test_attributes_of_the_environment_inside_wrappers(make_vec: MakeVec) -> None:
    env = GymnasiumVecEnv(RecordEpisodeStatistics(make_vec(2)))
    env.reset()
    env.step(np.zeros(2, dtype=np.int64))
    assert env.get_attr("num_episodes") == [2, 2]
    env.venv.unwrapped.remark = "inside"
    env.set_attr("remark", "changed")
    assert env.venv.unwrapped.remark == "changed"
    with pytest.raises(AttributeError, match="has no attribute 'missing'"):
        env.get_attr("missing")

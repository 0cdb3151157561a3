"""Evaluations that do not cover each image once are refused or warned about."""

from __future__ import annotations

import copy
import subprocess
import sys
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import cls_env
from agents import GymnasiumVecEnv
from cls_env import ClassIncrementalEnv, TaskStream, evaluation_episodes
from tests.cls_env.envs.conftest import TASKS, Counting, images_of, single_envs

pytestmark = pytest.mark.long


@pytest.mark.parametrize("kind", [DummyVecEnv, lambda made: VecMonitor(DummyVecEnv(made))])
def test_unshared_environments_are_refused(uneven: TaskStream, kind: Any) -> None:
    envs, policy = single_envs(kind, uneven, 4), Counting()
    with pytest.raises(ValueError, match=r"several environments evaluate the same split.*evaluation_episodes\(envs\)"):
        policy.evaluate(envs, 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert policy.evaluate(envs, evaluation_episodes(envs)) == pytest.approx(1 / 6)  # the message's own way out
    assert sorted(policy.seen) == images_of(uneven)


def used(stream: TaskStream, **arguments: Any) -> ClassIncrementalEnv:
    """An environment that has been used by itself, as `check_env` does."""
    env = ClassIncrementalEnv(stream, split="test", **({"task": TASKS} | arguments))
    env.reset()
    env.step(0)
    return env


@pytest.mark.parametrize("kind", ["used", "copied", "moved", "evaluated"])
def test_environments_that_were_used_before_are_refused_side_by_side(uneven: TaskStream, kind: str) -> None:
    first, second = used(uneven, task=0 if kind == "moved" else TASKS), used(uneven)
    if kind == "copied":
        second = copy.deepcopy(first)
    if kind == "evaluated":
        first, second = (ClassIncrementalEnv(uneven, split="test", task=TASKS) for _ in range(2))
        for env in (first, second):
            Counting().evaluate(DummyVecEnv([lambda env=env: Monitor(env)]), 30)
    envs, policy = DummyVecEnv([lambda: Monitor(first), lambda: Monitor(second)]), Counting()
    if kind == "moved":
        envs.set_options({"task": TASKS})
        envs.reset()
    with pytest.raises(ValueError, match="several environments evaluate the same split"):
        policy.evaluate(envs, 30)
    policy.evaluate(envs, evaluation_episodes(envs))
    assert sorted(policy.seen) == images_of(uneven)


def test_environments_of_other_images_may_stand_side_by_side(glyphs: cls_env.ImageDataset) -> None:
    arrays = (glyphs.train_images, glyphs.train_labels, glyphs.test_images, glyphs.test_labels)
    for change in (0, 255):
        images = [part ^ np.uint8(change) if part.ndim == 4 else part for part in arrays]
        stream = TaskStream(cls_env.from_arrays(images[0], images[1], images[2], images[3]), 3, seed=1)
        env = ClassIncrementalEnv(stream, split="test", task=TASKS)
        env.reset()
        if change == 0:
            other = env
    other.step(0)
    env.step(0)


IN_A_PROCESS = """
import multiprocessing, gymnasium, cls_env

def work():
    gymnasium.make("cls_env/SplitDigits-v0", split="test").reset()

process = multiprocessing.get_context("fork").Process(target=work)
process.start()
process.join()
"""


def test_environments_that_show_all_images_each_say_so(uneven: TaskStream) -> None:
    first, second = (ClassIncrementalEnv(uneven, split="test") for _ in range(2))
    first.reset()
    second.reset()
    first.step(0)
    first.reset()
    with pytest.raises(ValueError, match="several environments"):
        second.step(0)
    second.share_images(0, 1)
    assert second.reset()[1]["image_index"] == uneven.tasks[0].test_indices[0]
    third, fourth = (ClassIncrementalEnv(uneven, split="test", task=2) for _ in range(2))
    third.reset()
    third.step(0)
    third.close()
    fourth.reset()
    fourth.step(0)


def test_an_environment_that_was_only_looked_at_is_no_trouble(uneven: TaskStream) -> None:
    looked_at = ClassIncrementalEnv(uneven, split="test", task=TASKS)
    looked_at.reset()
    policy = Counting()
    policy.evaluate(single_envs(DummyVecEnv, uneven, 1), 30)
    assert sorted(policy.seen) == images_of(uneven)
    looked_at.step(0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't fork a process")
def test_environment_in_a_process_says_so() -> None:
    done = subprocess.run([sys.executable, "-c", IN_A_PROCESS], capture_output=True, text=True, check=True)
    assert "runs in a worker process and iterates over the whole" in done.stderr


def test_environments_one_after_the_other_are_no_cause_to_warn(uneven: TaskStream) -> None:
    policy = Counting()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            policy.evaluate(single_envs(DummyVecEnv, uneven, 1), 30)
            assert sorted(policy.seen) == images_of(uneven)


@pytest.mark.parametrize("native", [False, True])
def test_evaluation_of_too_few_episodes_says_so(uneven: TaskStream, native: bool) -> None:
    vector = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=4, dataset=uneven, split="test", task=TASKS)
    envs = GymnasiumVecEnv(vector) if native else single_envs(DummyVecEnv, uneven, 1)
    policy = Counting()
    policy.evaluate(envs, 10)
    with pytest.warns(UserWarning, match=r"covered only 1\d of 30 test images"):
        policy.evaluate(envs, 10)

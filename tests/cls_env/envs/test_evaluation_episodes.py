"""An evaluation over any number of environments sees each test image once, or the environments say why not."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor

import cls_env
from agents import EPG, GymnasiumVecEnv
from cls_env import ClassIncrementalEnv, TaskStream, evaluation_episodes
from tests.cls_env.envs.conftest import TASKS, Counting, images_of, single_envs

pytestmark = pytest.mark.long


@pytest.mark.parametrize("count", [1, 4, 7, 10, 30, 37])
def test_single_environments_share_the_images_out(uneven: TaskStream, count: int) -> None:
    envs, policy = single_envs(DummyVecEnv, uneven, count), Counting()
    for _ in range(3):
        assert policy.evaluate(envs, evaluation_episodes(envs)) == pytest.approx(1 / 6)
        assert sorted(policy.seen) == images_of(uneven)
    assert policy.evaluate(envs, 30) == pytest.approx(1 / 6)  # without asking again
    assert sorted(policy.seen) == images_of(uneven)


@pytest.mark.parametrize("native", [False, True])
def test_options_that_wait_are_applied_first(uneven: TaskStream, native: bool) -> None:
    vector = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=4, dataset=uneven, split="test", task=TASKS)
    envs, policy = GymnasiumVecEnv(vector) if native else single_envs(DummyVecEnv, uneven, 4), Counting()
    envs.set_options({"task": [0, 2]})
    policy.evaluate(envs, evaluation_episodes(envs))
    assert sorted(policy.seen) == images_of(uneven, [0, 2])


@pytest.mark.slow
def test_environments_in_processes_share_the_images_out(uneven: TaskStream) -> None:
    envs, policy = single_envs(SubprocVecEnv, uneven, 2), Counting()
    try:
        envs.set_options({"task": [0, 1]})
        assert evaluation_episodes(envs) == 20  # the options that waited have been applied
        policy.evaluate(envs, 20)
        assert sorted(policy.seen) == images_of(uneven, [0, 1])
    finally:
        envs.close()


@pytest.mark.parametrize("count", [1, 4, 7, 16, 29, 30, 31, 64])
@pytest.mark.parametrize("wrapped", [False, True])
def test_native_environment_shows_each_image_once(uneven: TaskStream, count: int, wrapped: bool) -> None:
    native = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=count, dataset=uneven, split="test", task=TASKS)
    envs: Any = GymnasiumVecEnv(native)
    envs = VecMonitor(envs) if wrapped else envs
    policy = Counting()
    for _ in range(3):
        assert policy.evaluate(envs, evaluation_episodes(envs)) == pytest.approx(1 / 6)
        assert sorted(policy.seen) == images_of(uneven)
        policy.evaluate(envs, 30)
        assert sorted(policy.seen) == images_of(uneven)


@pytest.mark.parametrize("count", [4, 7, 64])
def test_padding_marks_what_only_fills_a_batch(uneven: TaskStream, count: int) -> None:
    envs = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=count, dataset=uneven, split="test", task=TASKS)
    images, info = envs.reset()
    seen: list[bytes] = []
    while len(seen) < 30:
        assert info["padding"].sum() == max(0, count - (30 - len(seen)))
        seen += [image.tobytes() for image in images[~info["padding"]]]
        images, _, _, _, info = envs.step(np.zeros(count, dtype=np.int64))
    assert sorted(seen) == images_of(uneven)
    assert envs.unwrapped.num_episodes == 30 and envs.unwrapped.total_regret == 25  # one class of six is right
    assert "padding" not in gym.make_vec("cls_env/ClassIncremental-v0", num_envs=2, dataset=uneven).reset()[1]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gymnasiums_vectors_share_the_images_out(uneven: TaskStream, mode: str) -> None:
    envs = gym.make_vec(
        "cls_env/ClassIncremental-v0",
        num_envs=4,
        vectorization_mode=mode,
        wrappers=[gym.wrappers.GrayscaleObservation],
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        dataset=uneven,
        split="test",
        task=TASKS,
    )
    try:
        assert evaluation_episodes(envs) == 30
        _, info = envs.reset()
        seen: list[list[int]] = [[] for _ in range(4)]
        for _ in range(8):
            for place, row in enumerate(info["image_index"]):
                seen[place].append(int(row))
            info = envs.step(np.zeros(4, dtype=np.int64))[4]
        counted = [rows[: (30 + place) // 4] for place, rows in enumerate(seen)]  # as evaluate_policy counts
        assert sorted(row for rows in counted for row in rows) == sorted(
            row for task in uneven.tasks for row in task.test_indices.tolist()
        )
    finally:
        envs.close()


@pytest.mark.parametrize("kind", ["single", "one in a VecEnv", "native"])
def test_loops_of_ones_own_see_each_image_once(uneven: TaskStream, kind: str) -> None:
    arguments = {"dataset": uneven, "split": "test", "task": TASKS}
    seen: list[int] = []
    if kind == "native":
        envs = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=8, **arguments)
        _, info = envs.reset()
        while len(seen) < evaluation_episodes(envs):
            seen += info["image_index"][~info["padding"]].tolist()
            info = envs.step(np.zeros(8, dtype=np.int64))[4]
    elif kind == "single":
        env = gym.make("cls_env/ClassIncremental-v0", **arguments)
        _, info = env.reset()
        for _ in range(evaluation_episodes(env)):
            seen.append(info["image_index"])
            env.step(0)
            _, info = env.reset()
    else:
        one = single_envs(DummyVecEnv, uneven, 1)
        one.reset()
        for _ in range(evaluation_episodes(one)):
            seen.append(one.reset_infos[0]["image_index"])
            one.step([0])
    assert sorted(seen) == sorted(row for task in uneven.tasks for row in task.test_indices.tolist())


def test_a_new_share_needs_a_reset(uneven: TaskStream) -> None:
    env = ClassIncrementalEnv(uneven, split="test", task=TASKS)
    env.reset()
    env.share_images(0, 3)
    with pytest.raises(ResetNeeded):
        env.step(0)
    native = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=2, dataset=uneven, split="test").unwrapped
    native.reset()
    assert native.share_images(1, 3) == 10
    with pytest.raises(ResetNeeded):
        native.step(np.zeros(2, dtype=np.int64))


def test_different_images_are_not_shared_out(uneven: TaskStream, glyphs: cls_env.ImageDataset) -> None:
    def make(stream: TaskStream, task: int) -> Any:
        return lambda: Monitor(ClassIncrementalEnv(stream, split="test", task=task))

    with pytest.raises(ValueError, match=r"must show the same images, but their tasks differ: \(0,\), \(1,\)"):
        evaluation_episodes(DummyVecEnv([make(uneven, 0), make(uneven, 1)]))
    with pytest.raises(ValueError, match="but their streams differ"):
        evaluation_episodes(DummyVecEnv([make(uneven, 0), make(TaskStream(glyphs, 3, seed=2), 0)]))
    with pytest.raises(ValueError, match="but their tasks differ"):
        evaluation_episodes(SyncVectorEnv([make(uneven, 0), make(uneven, 1)]))
    envs = single_envs(DummyVecEnv, uneven, 2)
    envs.set_options([{"task": 0}, {"task": 1}])
    with pytest.raises(ValueError, match="but their tasks differ"):
        evaluation_episodes(envs)


def test_eval_callback_gives_one_agent_one_score(uneven: TaskStream) -> None:
    train = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=4, dataset=uneven)
    test = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=8, dataset=uneven, split="test", task=TASKS)
    envs = GymnasiumVecEnv(test)
    callback = EvalCallback(envs, n_eval_episodes=evaluation_episodes(envs), eval_freq=2, verbose=0, warn=False)
    EPG("ViTPolicy", train, batch_size=4, learning_rate=0.0, seed=0).learn(24, callback=callback)
    assert callback.n_calls >= 4 and callback.last_mean_reward == callback.best_mean_reward


def test_training_images_are_not_shared_out(uneven: TaskStream) -> None:
    for arguments in ({}, {"task_schedule": 5}):
        with pytest.raises(ValueError, match="shows training images in random order"):
            evaluation_episodes(ClassIncrementalEnv(uneven, **arguments))
    with pytest.raises(ValueError, match="needs environments of cls_env"):
        evaluation_episodes(gym.make("CartPole-v1"))
    for vectorization in ("sync", "async"):
        foreign = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode=vectorization)
        with pytest.raises(ValueError, match="needs environments of cls_env"):
            evaluation_episodes(foreign)
        foreign.close()
    for kind in (DummyVecEnv, SubprocVecEnv):
        foreign = make_vec_env("CartPole-v1", 2, vec_env_cls=kind)
        with pytest.raises(ValueError, match="needs environments of cls_env"):
            evaluation_episodes(foreign)
        foreign.close()
    env = ClassIncrementalEnv(uneven, split="test")
    for share, message in (((2, 2), "index must be in 0 \\.\\.\\. 1, not 2"), ((0, 0), "count must be a whole")):
        with pytest.raises(ValueError, match=message):
            env.share_images(*share)


def test_second_step_needs_a_reset(uneven: TaskStream) -> None:
    env = gym.make("cls_env/ClassIncremental-v0", dataset=uneven, feedback="bandit")
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(ResetNeeded, match="the episode ended with its only step: call reset"):
        env.step(1)
    assert env.unwrapped.num_episodes == 1
    env.reset()
    env.step(1)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"split": "test", "task": TASKS},
        {"task_schedule": 7, "task_blur": 1.0},
        {"reward_noise": "flip:probability=0.5", "feedback": "bandit"},
        {"scenario": "online"},
    ],
)
@pytest.mark.parametrize("vector", [False, True])
def test_deep_copy_goes_on_where_it_was(glyphs: cls_env.ImageDataset, arguments: dict[str, Any], vector: bool) -> None:
    make = (lambda **given: gym.make_vec(num_envs=3, **given)) if vector else gym.make
    env: Any = make(id="cls_env/ClassIncremental-v0", dataset=glyphs, num_tasks=3, **arguments)
    action = np.zeros(3, dtype=np.int64) if vector else 0

    def play(env: Any, steps: int) -> list[Any]:
        played = []
        for _ in range(steps):
            image, reward, *_, info = env.step(action)
            played.append((image.copy(), reward, info["task"]))
            if not vector:
                image, info = env.reset()
                played.append((image.copy(), 0, info["task"]))
        return played

    env.reset(seed=0)
    play(env, 5)
    twin = copy.deepcopy(env)
    assert twin.unwrapped.stream is env.unwrapped.stream
    assert twin.unwrapped.num_episodes == env.unwrapped.num_episodes > 0
    for mine, copied in zip(play(env, 20), play(twin, 20), strict=True):
        assert all(np.array_equal(here, there) for here, there in zip(mine, copied, strict=True))

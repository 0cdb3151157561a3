"""Options and seeds that were set for the next reset are applied, or refused where they would be passed over."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecEnv,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)

from agents import EPG, ApplyOptions, GymnasiumVecEnv, ImageReplayBuffer, ViTFeatures
from agents.envs.observation_info import observation_info
from agents.sb3.policies import ViTActorCriticPolicy, ViTQPolicy
from agents.sb3.task_by_task import TaskByTask
from cls_env import ClassIncrementalEnv, ClassIncrementalVectorEnv, TaskStream
from tests.agents.policies import TINY

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
VIT = {"features_extractor_class": ViTFeatures, "features_extractor_kwargs": TINY | {"peft": "none"}, "net_arch": []}
OFF_POLICY = {
    "learning_starts": 0,
    "buffer_size": 64,
    "batch_size": 8,
    "train_freq": 1,
    "replay_buffer_class": ImageReplayBuffer,
}
ALGORITHMS: dict[str, tuple[type[BaseAlgorithm], dict[str, Any]]] = {
    "ppo": (PPO, {"n_steps": 2, "batch_size": 8, "n_epochs": 1}),
    "a2c": (A2C, {"n_steps": 2}),
    "dqn": (DQN, OFF_POLICY),
}


class Tasks(BaseCallback):
    """Keeps the task of each image that was learned from."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def _on_rollout_start(self) -> None:
        self.seen += observation_info(self.training_env, 6).task.tolist()

    def _on_step(self) -> bool:
        return True


def _single(stream: TaskStream) -> gym.Env:
    return gym.make("cls_env/ClassIncremental-v0", dataset=stream)


def environments(make_vec: MakeVec, stream: TaskStream) -> dict[str, Callable[[], VecEnv]]:
    one = partial(_single, stream)
    return {
        "native": lambda: GymnasiumVecEnv(make_vec(4)),
        "sync": lambda: GymnasiumVecEnv(SyncVectorEnv([one] * 4, autoreset_mode=AutoresetMode.SAME_STEP)),
        "dummy": lambda: DummyVecEnv([one] * 4),
        "make_vec_env": lambda: make_vec_env(one, 4),
        "processes": lambda: SubprocVecEnv([partial(_single, stream)], start_method="fork"),
        "monitor": lambda: VecMonitor(DummyVecEnv([one] * 4)),
        "normalize": lambda: VecNormalize(VecTransposeImage(GymnasiumVecEnv(make_vec(4))), norm_obs=False),
    }


@pytest.mark.parametrize("kind", ["native", "sync", "dummy", "monitor", "normalize"])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_task_is_learned_on_its_own_classes(name: str, kind: str, make_vec: MakeVec, stream: TaskStream) -> None:
    """README's loop, with a plain policy."""
    algorithm, arguments = ALGORITHMS[name]
    env = environments(make_vec, stream)[kind]()
    model = algorithm("CnnPolicy", env, policy_kwargs=VIT, device="cpu", seed=0, **arguments)
    for task in range(3):
        tasks = Tasks()
        model.get_env().set_options({"task": task})
        model.learn(16, callback=[ApplyOptions(), tasks], reset_num_timesteps=task == 0)
        assert set(tasks.seen) == {task}
    assert model.num_timesteps == 48


@pytest.mark.parametrize("name", ALGORITHMS)
def test_task_by_task_contains_it(name: str, make_vec: MakeVec) -> None:
    algorithm, arguments = ALGORITHMS[name]
    policy = ViTQPolicy if name == "dqn" else ViTActorCriticPolicy
    model = algorithm(policy, GymnasiumVecEnv(make_vec(4)), device="cpu", **arguments)
    for task in range(3):
        tasks = Tasks()
        model.get_env().set_options({"task": task})
        model.learn(16, callback=[TaskByTask(), tasks], reset_num_timesteps=task == 0)
        assert set(tasks.seen) == {task}
        assert model.policy.seen_classes.tolist() == list(range(2 * task + 2))


def test_it_sets_what_sb3_sets(make_vec: MakeVec) -> None:
    env = VecNormalize(VecTransposeImage(GymnasiumVecEnv(make_vec(4))), norm_reward=False)
    model = A2C("MlpPolicy", env, n_steps=1, device="cpu").learn(4)
    seen: dict[str, Any] = {}

    class Watch(BaseCallback):
        def _on_training_start(self) -> None:
            original = model._last_original_obs.copy()
            seen["last"] = (
                model._last_obs.copy(),
                model._last_episode_starts.copy(),
                original,
                env.normalize_obs(original),
            )

        def _on_step(self) -> bool:
            return True

    model._last_episode_starts[:] = False
    env.seed(3)
    env.set_options({"task": 1})
    model.learn(4, callback=[ApplyOptions(), Watch()], reset_num_timesteps=False)
    expected, _ = make_vec(4).reset(seed=3, options={"task": 1})
    last, starts, original, normalized = seen["last"]
    assert starts.all() and np.array_equal(original, np.moveaxis(expected, 3, 1))
    assert np.array_equal(last, normalized)


def test_where_nothing_was_set_the_stream_goes_on(make_vec: MakeVec) -> None:
    """A reset of the native environment would pass over the images on display."""
    shown = []
    for callback in (None, ApplyOptions()):
        model = A2C("CnnPolicy", GymnasiumVecEnv(make_vec(4)), n_steps=1, policy_kwargs=VIT, seed=0, device="cpu")
        model.learn(4).learn(4, callback=callback, reset_num_timesteps=False)
        shown.append(observation_info(model.get_env(), 6).image_index.tolist())
    assert shown[0] == shown[1]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_options_that_would_be_passed_over_are_refused(name: str, make_vec: MakeVec) -> None:
    algorithm, arguments = ALGORITHMS[name]
    env = VecMonitor(GymnasiumVecEnv(make_vec(4)))
    model = algorithm("CnnPolicy", env, policy_kwargs=VIT, device="cpu", **arguments).learn(8)
    model.get_env().set_options({"task": 1})
    message = r"was given the options {'task': 1} and not reset since, .*reset_num_timesteps=True.*ApplyOptions\(\)"
    with pytest.raises(ValueError, match=message) as error:
        model.learn(8, reset_num_timesteps=False)
    assert "\n" not in str(error.value)
    model.learn(8)  # reset_num_timesteps=True
    assert set(observation_info(model.get_env(), 6).task.tolist()) == {1}


def test_seeds_that_wait_are_refused_too(make_vec: MakeVec) -> None:
    env = GymnasiumVecEnv(make_vec(4))
    env.reset()
    env.seed(3)
    with pytest.raises(ValueError, match="given the seed 3 and not reset since, so they have no effect yet"):
        env.step(np.zeros(4, dtype=np.int64))
    env.reset()
    env.step(np.zeros(4, dtype=np.int64))
    env.set_options({})
    env.step(np.zeros(4, dtype=np.int64))


def test_options_that_differ_are_refused(make_vec: MakeVec) -> None:
    env = GymnasiumVecEnv(make_vec(2))
    env.set_options([{"task": 2}, {"task": np.int64(2)}])
    with pytest.raises(ValueError, match="must have the same options"):
        env.set_options([{"task": 0}, {"task": 1}])
    for wrong in ([{"task": 0}], [0, 0], "task"):
        with pytest.raises(ValueError, match="options are a dict, or a list of 2 dicts, not"):
            VecMonitor(env).set_options(wrong)
    env.reset()
    assert observation_info(env, 6).task.tolist() == [2, 2]  # what was refused has changed nothing
    env._options = [{"task": 0}, {"task": 1}]
    with pytest.raises(ValueError, match="must have the same options"):
        env.reset()


@pytest.mark.parametrize("kind", ["native", "monitor", "normalize", "make_vec_env", "processes"])
def test_agents_of_ours_reset_by_themselves(kind: str, make_vec: MakeVec, stream: TaskStream) -> None:
    env = environments(make_vec, stream)[kind]()
    agent = EPG("ViTPolicy", env, batch_size=4, device="cpu")
    try:
        for task in range(3):
            tasks = Tasks()
            agent.get_env().set_options({"task": task})
            callback = [ApplyOptions(), tasks] if task == 2 else tasks  # which changes nothing here
            agent.learn(8, callback=callback, reset_num_timesteps=task == 0)
            assert set(tasks.seen) == {task}
            assert agent.policy.network.head.actions.tolist() == list(range(2 * task + 2))
    finally:
        env.close()


@pytest.mark.parametrize("vector", [False, True])
def test_a_pickle_is_a_new_environment_of_the_same_arguments(vector: bool, stream: TaskStream) -> None:
    arguments = {"dataset": stream, "task": 1, "feedback": "bandit"}
    env = ClassIncrementalVectorEnv(2, **arguments) if vector else ClassIncrementalEnv(**arguments)
    action = np.zeros(2, dtype=np.int64) if vector else 0
    env.reset(seed=0, options={"task": 2})
    env.step(action)
    twin = pickle.loads(pickle.dumps(env))
    assert (env.num_episodes, twin.num_episodes) == (2 if vector else 1, 0)
    with pytest.raises(ResetNeeded):
        twin.step(action)
    _, info = twin.reset(seed=0)
    assert np.all(info["task"] == 1) and "label" not in info
    assert twin.unwrapped.stream.fingerprint == stream.fingerprint

"""Callbacks that reset, step or set the environment on which an agent is learning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

import cls_env  # noqa: F401  # registers the environments
from agents import EPG
from agents.envs.vec_env import as_vec_env
from agents.methods import Batch
from cls_env import TaskStream
from tests.agents.policies import TINY

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
ID = "cls_env/ClassIncremental-v0"
ALIKE: dict[str, Any] = {"batch_size": 8, "seed": 0, "device": "cpu", "policy_kwargs": TINY}


def env_of(kind: str, stream: TaskStream, make_vec: MakeVec) -> VecEnv:
    if kind == "native":
        return as_vec_env(make_vec(8))
    singles = [lambda: gym.make(ID, dataset=stream)] * 4
    return SubprocVecEnv(singles[:1], "fork") if kind == "subprocesses" else DummyVecEnv(singles)


class Recorded(EPG):
    """Keeps what it learned from."""

    def _update(self, batches: list[Batch], *further: Any) -> Any:
        self.batches = [*getattr(self, "batches", []), *batches]
        return super()._update(batches, *further)


class InTurn(BaseCallback):
    """Calls a function after the first step, or at another event."""

    def __init__(self, event: str, function: Callable[[VecEnv], object]) -> None:
        super().__init__()
        self.event, self.function = event, function

    def _react(self, event: str) -> None:
        if event == self.event:
            self.function(self.training_env)

    def _init_callback(self) -> None:
        self._react("making")

    def _on_training_start(self) -> None:
        self._react("training start")

    def _on_rollout_start(self) -> None:
        self._react("rollout start")

    def _on_rollout_end(self) -> None:
        self._react("rollout end")

    def _on_step(self) -> bool:
        self._react("step")
        return True


def images_and_rewards(agent: Recorded, stream: TaskStream) -> None:
    """See that each image was learned from with its own rewards."""
    assert sum(len(batch.images) for batch in agent.batches) == 32
    for batch in agent.batches:
        assert batch.image_index is not None
        assert np.array_equal(stream.images("train")[batch.image_index], batch.images.numpy())
        assert np.array_equal(stream.labels("train")[batch.image_index], batch.labels.numpy())


@pytest.mark.parametrize("kind", ["native", "single", "subprocesses"])
def test_an_evaluation_on_the_agents_own_environment(kind: str, stream: TaskStream, make_vec: MakeVec) -> None:
    env = env_of(kind, stream, make_vec)
    agent = Recorded("ViTPolicy", env, "ce", **ALIKE)
    agent.learn(32, callback=EvalCallback(env, n_eval_episodes=4, eval_freq=1, verbose=0, warn=False))
    env.close()
    images_and_rewards(agent, stream)


@pytest.mark.parametrize("event", ["making", "training start", "rollout start", "rollout end", "step"])
@pytest.mark.parametrize("kind", ["native", "single"])
def test_a_reset_and_a_step_of_others(kind: str, event: str, stream: TaskStream, make_vec: MakeVec) -> None:
    for function in (lambda env: env.reset(), lambda env: env.step(np.zeros(env.num_envs, np.int64))):
        agent = Recorded("ViTPolicy", env_of(kind, stream, make_vec), "ce", **ALIKE)
        agent.learn(32, callback=InTurn(event, function))
        images_and_rewards(agent, stream)


@pytest.mark.parametrize("kind", ["native", "single"])
def test_options_without_a_reset_are_refused(kind: str, stream: TaskStream, make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", env_of(kind, stream, make_vec), "ce", **ALIKE)
    with pytest.raises(ValueError, match=r"was given the options \{'task': 1\} and not reset since"):
        agent.learn(32, callback=InTurn("step", lambda env: env.set_options({"task": 1})))


@pytest.mark.parametrize("kind", ["native", "single"])
def test_another_task_within_a_call_is_refused(kind: str, stream: TaskStream, make_vec: MakeVec) -> None:
    def move(env: VecEnv) -> None:
        env.set_options({"task": 1})
        env.reset()

    agent = EPG("ViTPolicy", env_of(kind, stream, make_vec), "ce", **ALIKE)
    with pytest.raises(ValueError, match="moved on to new classes during learn"):
        agent.learn(32, callback=InTurn("step", move))


def test_what_is_no_callback(make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), "ce", **ALIKE)
    for callback in (3, "eval", [3], EvalCallback):
        with pytest.raises(ValueError, match=r"^callback must be a BaseCallback, a list of them, or a function"):
            agent.learn(8, callback=callback)

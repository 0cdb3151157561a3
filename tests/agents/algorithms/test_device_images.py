"""Images that are kept on the device: the same agent, log and callbacks as with images in main memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, make_output_format

from agents import EPG, LinearBandit, Reinforce, ValueBandit
from agents.algorithms import device_batches
from agents.algorithms.device_batches import DeviceBatchSource
from agents.algorithms.one_step import OneStepAlgorithm
from agents.envs.vec_env import GymnasiumVecEnv
from agents.optimization.divergence import DivergedError
from tests.agents.policies import TINY

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
IMAGES = 72
"""Of a `learn` call."""


class Reader(BaseCallback):
    """Records what callbacks read at each step, and a figure of its own at every third one."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def _on_step(self) -> bool:
        names = ("new_obs", "rewards", "dones", "actions")
        read = {name: np.array(self.locals[name]) for name in names}
        infos = [dict(info) for info in self.locals["infos"]]
        for info in infos:
            info["episode"] = {name: value for name, value in info["episode"].items() if name != "t"}
        self.seen.append((self.num_timesteps, read, infos, [each["r"] for each in self.model.ep_info_buffer]))
        if self.n_calls % 3 == 0:
            self.logger.record("own/calls", self.n_calls)
        return True


def trained(
    images: str,
    make_vec: MakeVec,
    folder: Path,
    kind: type[OneStepAlgorithm] = EPG,
    env: dict[str, Any] | None = None,
    callback: BaseCallback | None = None,
    log_interval: int = 1,
    **arguments: Any,
) -> tuple[OneStepAlgorithm, pd.DataFrame]:
    """An agent after two tasks, and its log."""
    policy = {"policy_kwargs": TINY | arguments.pop("policy_kwargs", {})}
    fixed = {"batch_size": 12, "seed": 0, "device": "cpu", "device_images": images}
    agent = kind("ViTPolicy", make_vec(6, **(env or {})), **(fixed | policy | arguments))
    agent.set_logger(Logger(str(folder), [make_output_format("csv", str(folder))]))
    for task in range(2):
        agent.get_env().seed(task)
        agent.get_env().set_options({"task": task})
        agent.learn(IMAGES, callback=callback, log_interval=log_interval, reset_num_timesteps=task == 0)
        assert isinstance(agent._batches, DeviceBatchSource) == (images == "yes")
    agent.logger.close()
    rows = pd.read_csv(folder / "progress.csv") if agent.policy.method.learns_by_gradient else pd.DataFrame()
    return agent, rows.drop(columns="time/fps", errors="ignore")


def state(agent: OneStepAlgorithm) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in agent.policy.state_dict().items()}


KINDS: list[dict[str, Any]] = [
    {"objective": "aepg", "crop_scale": (0.05, 1.0)},
    {"objective": "ce", "cache_features": True, "precision": "bfloat16"},
    {"env": {"reward_noise": "gaussian:deviation=0.1"}, "objective": "epg"},
    {"kind": Reinforce, "env": {"feedback": "bandit"}, "baseline": "running-mean"},
    {"kind": ValueBandit, "env": {"feedback": "bandit"}},
    {"kind": LinearBandit, "env": {"feedback": "bandit"}, "rule": "thompson"},
]


@pytest.mark.parametrize("arguments", KINDS, ids=str)
def test_agent_and_log_are_equal(arguments: dict[str, Any], make_vec: MakeVec, tmp_path: Path) -> None:
    host, expected = trained("no", make_vec, tmp_path / "no", **arguments)
    agent, rows = trained("yes", make_vec, tmp_path / "yes", **arguments)
    assert all(torch.equal(tensor, state(host)[name]) for name, tensor in state(agent).items())
    pd.testing.assert_frame_equal(rows, expected)
    envs = [each.get_env().venv for each in (agent, host)]
    assert envs[0].num_episodes == envs[1].num_episodes
    assert envs[0].total_regret == pytest.approx(envs[1].total_regret, abs=1e-5)
    assert agent.num_timesteps == host.num_timesteps


@pytest.mark.parametrize("log_interval", [4])
def test_callbacks_read_the_same(log_interval: int, make_vec: MakeVec, tmp_path: Path) -> None:
    host_reader, reader = Reader(), Reader()
    _, expected = trained("no", make_vec, tmp_path / "no", callback=host_reader, log_interval=log_interval)
    agent, rows = trained("yes", make_vec, tmp_path / "yes", callback=reader, log_interval=log_interval)
    pd.testing.assert_frame_equal(rows, expected)
    assert "own/calls" in rows
    for (steps, read, infos, buffer), (host_steps, host_read, host_infos, host_buffer) in zip(
        reader.seen, host_reader.seen, strict=True
    ):
        assert (steps, buffer) == (host_steps, host_buffer)
        assert all(np.array_equal(read[name], host_read[name]) for name in read)
        for info, host_info in zip(infos, host_infos, strict=True):
            assert np.array_equal(info.pop("terminal_observation"), host_info.pop("terminal_observation"))
            assert info == host_info
    assert len(agent.ep_success_buffer) == 100


class WritesRows(BaseCallback):
    """Writes rows of its own, as SB3's `EvalCallback` does."""

    def _on_step(self) -> bool:
        if self.n_calls % 3 == 0:
            self.logger.record("own/row", self.n_calls)
            self.logger.dump(self.num_timesteps)
        return True


def test_rows_of_callbacks_are_in_order(make_vec: MakeVec, tmp_path: Path) -> None:
    _, expected = trained("no", make_vec, tmp_path / "no", callback=WritesRows())
    agent, rows = trained("yes", make_vec, tmp_path / "yes", callback=WritesRows())
    pd.testing.assert_frame_equal(rows, expected)
    assert rows["own/row"].notna().sum() == 2 * IMAGES // 6 // 3
    assert agent.logger.dump.__func__ is Logger.dump  # given back


class Replaces(BaseCallback):
    """Replaces the agent's environment in the middle of a task."""

    def __init__(self, env: gym.vector.VectorEnv) -> None:
        super().__init__()
        self.other = env

    def _on_step(self) -> bool:
        if self.n_calls == 3:
            self.model.set_env(self.other)
        return True


def test_a_callback_that_replaces_the_environment(make_vec: MakeVec) -> None:
    counts = []
    for images in ("no", "yes"):
        envs = make_vec(6), make_vec(6)
        agent = EPG("ViTPolicy", envs[0], batch_size=6, device="cpu", device_images=images, policy_kwargs=TINY, seed=0)
        agent.learn(60, callback=Replaces(envs[1]))
        counts.append([env.num_episodes for env in envs])
    assert counts[0] == counts[1] and min(counts[0]) > 0


class Shaped(GymnasiumVecEnv):
    """Changes rewards."""

    def step_wait(self) -> Any:
        images, rewards, *rest = super().step_wait()
        return images, 10 * rewards - 3, *rest


def test_a_subclass_that_changes_steps_is_not_passed_by(make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", Shaped(make_vec(6)), batch_size=6, device="cpu", device_images="yes", policy_kwargs=TINY)
    with pytest.raises(ValueError, match="device_images='yes' needs the native"):
        agent.learn(6)


def test_the_tasks_that_were_set_must_fit(make_vec: MakeVec, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(device_batches, "can_keep", lambda env, device, tasks: bool(asked.append(list(tasks))))
    agent = EPG("ViTPolicy", make_vec(6), batch_size=6, device="cpu", policy_kwargs=TINY)
    for tasks in (0, [0, 1]):
        agent.get_env().set_options({"task": tasks})
        agent.learn(6)
    assert asked == [[0], [0, 1]]


def test_images_of_finished_steps_are_not_kept(make_vec: MakeVec) -> None:
    kept: list[Any] = []

    class Watches(BaseCallback):
        def _on_step(self) -> bool:
            kept.append(weakref.ref(self.model._batches._shown.images))
            return True

    agent = EPG("ViTPolicy", make_vec(6), batch_size=6, device="cpu", device_images="yes", policy_kwargs=TINY)
    agent.learn(60, callback=Watches())
    gc.collect()
    assert sum(each() is not None for each in kept) <= 1


class StepsEnv(BaseCallback):
    """Steps the agent's environment by itself in the middle of a task."""

    def _on_step(self) -> bool:
        if self.n_calls == 5:
            self.training_env.step(np.zeros(6, dtype=np.int64))
        return self.n_calls < 20


def test_a_callback_that_steps_the_environment_and_stops(make_vec: MakeVec, tmp_path: Path) -> None:
    host, expected = trained("no", make_vec, tmp_path / "no", callback=StepsEnv())
    agent, rows = trained("yes", make_vec, tmp_path / "yes", callback=StepsEnv())
    pd.testing.assert_frame_equal(rows, expected)
    assert all(torch.equal(tensor, state(host)[name]) for name, tensor in state(agent).items())


@pytest.mark.parametrize("learning_rate", [1e12])
def test_diverged_training_has_the_same_message(learning_rate: float, make_vec: MakeVec, tmp_path: Path) -> None:
    messages = []
    for images in ("no", "yes"):
        with pytest.raises(DivergedError) as caught:
            trained(images, make_vec, tmp_path / images, learning_rate=learning_rate)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    rows = [pd.read_csv(tmp_path / images / "progress.csv").drop(columns="time/fps") for images in ("no", "yes")]
    pd.testing.assert_frame_equal(*rows)


def test_yes_is_refused_for_a_wrapped_environment(make_vec: MakeVec) -> None:
    wrapped = gym.wrappers.vector.RecordEpisodeStatistics(make_vec(6))
    agent = EPG("ViTPolicy", wrapped, batch_size=6, device="cpu", device_images="yes", policy_kwargs=TINY)
    with pytest.raises(ValueError, match=r"device_images='yes' needs the native .* without wrappers"):
        agent.learn(6)
    agent.device_images = "auto"
    agent.learn(6)


def test_an_unknown_choice_is_refused(make_vec: MakeVec) -> None:
    with pytest.raises(ValueError, match="device_images 'gpu'"):
        EPG("ViTPolicy", make_vec(6), batch_size=6, device_images="gpu")


def test_a_saved_agent_keeps_its_choice(make_vec: MakeVec, tmp_path: Path) -> None:
    agent = EPG("ViTPolicy", make_vec(6), batch_size=6, device="cpu", device_images="yes", policy_kwargs=TINY)
    agent.learn(12)
    agent.save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", make_vec(6), device="cpu")
    assert loaded.device_images == "yes"
    loaded.learn(12)

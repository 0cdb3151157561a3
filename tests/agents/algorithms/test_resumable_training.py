"""A `learn` call that was stopped within a task goes on to the same numbers."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

from agents import EPG, OBJECTIVES, DivergedError, KeepBestPass, LinearBandit, Reinforce, SaveTraining, ValueBandit
from agents.algorithms.one_step import OneStepAlgorithm
from agents.checkpoint.training_file import KEPT, read_training_state, write_training_state
from cls_env import TaskStream
from tests.agents.policies import TINY

STEPS, BATCH = 12, 4
METHODS: dict[str, dict[str, Any]] = {
    "sequential": {},
    "linear-probe": {"peft": "none"},
    "lae:decay=0.9,reference_batch=4": {},
    "replay:size=20,batch=4": {},
    "der++:size=20,batch=4": {},
    "inflora": {},
    "sd-lora": {"peft": "lora:scale=true"},
    "l2p:pool=6,length=2,top=2": {"peft": "none"},
    "dualprompt": {"peft": "none"},
    "coda-prompt:components=12": {"peft": "none"},
}
AGENTS: dict[str, tuple[type[OneStepAlgorithm], dict[str, Any]]] = {
    "crops": (EPG, {"crop_scale": (0.3, 1.0)}),
    "cached features": (EPG, {"cache_features": True}),
    "drawn actions": (EPG, {"objective": "reinforce:samples=2,baseline=running-mean"}),
    "weight decay": (EPG, {"policy_kwargs": {"optimizer_kwargs": {"weight_decay": 0.1}}}),
    "sgd": (
        EPG,
        {"policy_kwargs": {"optimizer_class": torch.optim.SGD, "optimizer_kwargs": {"momentum": 0.9}}},
    ),
    "adamw": (EPG, {"policy_kwargs": {"optimizer_class": torch.optim.AdamW}}),
    "whole backbone": (EPG, {"policy_kwargs": {"peft": "full"}}),
    "images on the device": (EPG, {"device_images": "yes"}),
    "falling rate": (EPG, {"learning_rate": lambda remaining: 1e-3 * remaining}),
    "bandit feedback": (Reinforce, {"baseline": "running-mean"}),
    "values": (ValueBandit, {}),
    "regressions": (LinearBandit, {"rule": "thompson"}),
}

Make = Callable[..., OneStepAlgorithm]


class Stop(Exception):
    """Ends a `learn` call as a lost process would."""


class StopAt(BaseCallback):
    """Raises `Stop` before a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._left = step

    def _on_rollout_start(self) -> None:
        if not self._left:
            raise Stop
        self._left -= 1

    def _on_step(self) -> bool:
        return True


def made(stream: TaskStream, kind: type[OneStepAlgorithm], **arguments: Any) -> OneStepAlgorithm:
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=BATCH, dataset=stream)
    kwargs = {"policy_kwargs": TINY | arguments.pop("policy_kwargs", {})}
    return kind("ViTPolicy", env, batch_size=BATCH, seed=3, device="cpu", **kwargs, **arguments)


def learn(model: OneStepAlgorithm, task: int, *callbacks: BaseCallback) -> None:
    env = model.get_env()
    assert env is not None
    env.seed(100 + task)
    env.set_options({"task": task})
    model.learn(STEPS * BATCH, callback=list(callbacks), reset_num_timesteps=task == 0)


def results(model: OneStepAlgorithm) -> dict[str, Any]:
    rewards = [episode["r"] for episode in model.ep_info_buffer or ()]
    tensors = {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}
    return {"steps": (model.num_timesteps, model._n_updates), "rewards": rewards} | tensors


def assert_equal(ours: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(ours) == set(expected)
    for name, value in expected.items():
        mine = ours[name]
        assert torch.equal(mine, value) if torch.is_tensor(value) else mine == value, name


def resumed_equals_whole(stream: TaskStream, folder: Path, task: int, stop: int, kind: Any, arguments: Any) -> None:
    """Compare a task that is stopped before a step, and saved one step earlier, with an undisturbed one."""
    load = {"learning_rate": rate} if callable(rate := arguments.get("learning_rate")) else {}

    def begun() -> OneStepAlgorithm:
        model = made(stream, kind, **arguments)
        for earlier in range(task):
            learn(model, earlier)
        return model

    whole, stopped = begun(), begun()
    if task:
        stopped.save(folder / "before.zip")
    learn(whole, task)
    with pytest.raises(Stop):
        learn(stopped, task, SaveTraining(folder / "states", minutes=0), StopAt(stop))
    again = made(stream, kind, **arguments)
    if task:
        again = kind.load(folder / "before.zip", again.get_env(), device="cpu", **load)
    saving = SaveTraining(folder / "states")
    assert saving.resume(again) and saving.steps_done == stop
    for shared in (random.seed, np.random.seed, torch.manual_seed):
        shared(99)
    learn(again, task, saving)
    assert_equal(results(again), results(whole))


@pytest.fixture(scope="module")
def two_tasks() -> TaskStream:
    options = {"num_classes": 6, "train_per_class": 6, "test_per_class": 2, "margin": 0}
    return TaskStream("glyphs", 2, seed=1, dataset_options=options)


@pytest.mark.parametrize("stop", [3, 9])
@pytest.mark.parametrize("method", METHODS)
def test_methods(method: str, stop: int, two_tasks: TaskStream, tmp_path: Path) -> None:
    arguments = {"policy_kwargs": {"method": method} | METHODS[method]}
    resumed_equals_whole(two_tasks, tmp_path, 1, stop, EPG, arguments)


@pytest.mark.parametrize("name", AGENTS)
def test_agents(name: str, two_tasks: TaskStream, tmp_path: Path) -> None:
    kind, arguments = AGENTS[name]
    resumed_equals_whole(two_tasks, tmp_path, 1, 9, kind, arguments)


def test_the_first_task_is_resumed_by_a_new_agent(two_tasks: TaskStream, tmp_path: Path) -> None:
    resumed_equals_whole(two_tasks, tmp_path, 0, 5, EPG, {})


def test_the_best_pass_is_kept_also_from_before_the_stop(two_tasks: TaskStream, tmp_path: Path) -> None:
    def measures() -> KeepBestPass:
        falling = iter([0.9, 0.5, 0.4, 0.3])
        return KeepBestPass(lambda: next(falling), images_per_pass=3 * BATCH)

    whole, stopped, again = (made(two_tasks, EPG) for _ in range(3))
    learn(whole, 0, measures())
    best = measures()
    with pytest.raises(Stop):
        learn(stopped, 0, SaveTraining(tmp_path, minutes=0, callbacks=[best]), best, StopAt(7))
    best = measures()
    best.measure = iter([0.4, 0.3]).__next__
    saving = SaveTraining(tmp_path, callbacks=[best])
    assert saving.resume(again)
    learn(again, 0, saving, best)
    assert best.measures == [0.9, 0.5, 0.4, 0.3] and best.best_pass == 0
    assert_equal(results(again), results(whole))


def test_the_newest_states_stay_and_a_damaged_one_is_passed_over(two_tasks: TaskStream, tmp_path: Path) -> None:
    saving = SaveTraining(tmp_path / "states", minutes=0)
    with pytest.raises(Stop):
        learn(made(two_tasks, EPG), 0, saving, StopAt(6))
    files = sorted((tmp_path / "states").iterdir())
    assert [file.name for file in files] == [f"step_{step:09d}.zip" for step in (5, 6)] and len(files) == KEPT
    content = files[-1].read_bytes()
    for damaged in (b"", content[:100], content[: len(content) // 2], _flipped(content)):
        files[-1].write_bytes(damaged)
        again = SaveTraining(tmp_path / "states")
        with pytest.warns(UserWarning, match=r"step_000000006\.zip .*this state is not used"):
            assert again.resume(made(two_tasks, EPG))
        assert again.steps_done == 5


def _flipped(content: bytes) -> bytes:
    """One bit of a tensor's bytes changed, and the checksum of the zip's member with it."""
    import io
    import zipfile

    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            part = bytearray(source.read(name))
            if name.endswith(".safetensors"):
                part[-1] ^= 1
            archive.writestr(name, bytes(part))
    return target.getvalue()


def test_another_format_is_refused_by_its_number(
    two_tasks: TaskStream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("agents.checkpoint.training_file.FORMAT", 7)
        write_training_state(tmp_path / "step_000000001.zip", {"counters/step": torch.tensor(1)})
    with pytest.raises(ValueError, match=r"has format 7, and this version reads format 1"):
        SaveTraining(tmp_path).resume(made(two_tasks, EPG))


def test_a_state_of_another_call_is_refused(two_tasks: TaskStream, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        learn(made(two_tasks, EPG), 0, SaveTraining(tmp_path, minutes=0), StopAt(2))
    later = made(two_tasks, EPG)
    learn(later, 0)
    assert SaveTraining(tmp_path).resume(later)
    with pytest.raises(ValueError, match="tasks_begun is 1 there, 2 here"):
        learn(later, 1)
    shorter = made(two_tasks, EPG)
    assert SaveTraining(tmp_path).resume(shorter)
    with pytest.raises(ValueError, match="steps_in_call is 12 there, 3 here"):
        shorter.learn(3 * BATCH)


def test_wrapped_environments_are_learned_without_states(two_tasks: TaskStream, tmp_path: Path) -> None:
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=BATCH, dataset=two_tasks)
    wrapped = gym.wrappers.vector.RecordEpisodeStatistics(env)
    model = EPG("ViTPolicy", wrapped, batch_size=BATCH, device="cpu")
    with pytest.warns(UserWarning, match="resumed at the beginning of the task only"):
        model.learn(3 * BATCH, callback=SaveTraining(tmp_path / "states", minutes=0))
    assert not (tmp_path / "states").exists()


def test_no_state_is_saved_of_weights_that_are_no_numbers(two_tasks: TaskStream, tmp_path: Path) -> None:
    class Break(StopAt):
        def _on_rollout_start(self) -> None:
            if not self._left:
                with torch.no_grad():
                    self.model.policy.network.head.weight.fill_(torch.nan)  # type: ignore[union-attr]
            self._left -= 1

    with pytest.raises(DivergedError, match="gradient step 5 of task 0"):
        learn(made(two_tasks, EPG), 0, Break(4), SaveTraining(tmp_path, minutes=0))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["step_000000002.zip", "step_000000003.zip"]


def broken_at(steps: set[int]) -> Callable[..., torch.Tensor]:
    """Cross-entropy that is NaN in some steps."""
    calls = iter(range(10**6))

    def loss(logits: torch.Tensor, action_rewards: torch.Tensor, progress: float) -> torch.Tensor:
        right = OBJECTIVES["ce"](logits, action_rewards, progress)
        return right * torch.nan if next(calls) in steps else right

    return loss


def test_steps_that_are_no_numbers_are_left_out_and_counted(two_tasks: TaskStream) -> None:
    skipping = made(two_tasks, EPG, objective=broken_at({2, 5}), on_divergence="skip")
    learn(skipping, 0)
    assert skipping.skipped_steps == 2 and skipping._n_updates == STEPS
    assert all(bool(torch.isfinite(tensor).all()) for tensor in skipping.policy.parameters())
    with pytest.raises(ValueError, match="NaN"):
        learn(made(two_tasks, EPG, objective=broken_at({2, 5})), 0)


def test_skipping_changes_nothing_where_all_is_finite(two_tasks: TaskStream) -> None:
    plain, skipping = made(two_tasks, EPG), made(two_tasks, EPG, on_divergence="skip")
    learn(plain, 0)
    learn(skipping, 0)
    assert_equal(results(skipping), results(plain))
    with pytest.raises(ValueError, match="on_divergence"):
        made(two_tasks, EPG, on_divergence="go on")


def test_sb3s_algorithms_are_refused(two_tasks: TaskStream, tmp_path: Path) -> None:
    from stable_baselines3 import PPO

    from agents import GymnasiumVecEnv

    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=BATCH, dataset=two_tasks)
    model = PPO("MlpPolicy", GymnasiumVecEnv(env), n_steps=2, batch_size=4, device="cpu")
    with pytest.raises(ValueError, match="not with PPO"):
        SaveTraining(tmp_path).resume(model)


def test_a_state_holds_tensors_alone(two_tasks: TaskStream, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        learn(made(two_tasks, EPG), 0, SaveTraining(tmp_path, minutes=0), StopAt(2))
    state = read_training_state(tmp_path / "step_000000002.zip")
    parts = {name.partition("/")[0] for name in state}
    assert {"network", "optimizer", "random", "shared_random", "counters", "episodes", "features"} <= parts

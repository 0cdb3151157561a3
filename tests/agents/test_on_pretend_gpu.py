"""Agents on a pretend GPU: no operands on two devices, no generator or NumPy array on the wrong one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

from agents import EPG, LinearBandit, Reinforce, ValueBandit
from agents.algorithms.one_step import OneStepAlgorithm
from agents.evaluation import evaluate_tasks
from agents.methods import METHODS
from tests.agents.methods.conftest import SMALL, module_of
from tests.agents.policies import TINY
from tests.pretend_gpu import StepTraffic, Traffic

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
Learn = Callable[..., OneStepAlgorithm]
BATCH = 8
OWN_MODULES = ("lora", "adapter", "prefix", "vpt", "ssf", "full", "none")
LIBRARY_MODULES = ("dora", "fourierft", "hra", "ia3", "loha", "oft", "vblora", "vera")
SAMPLED = ("reinforce", "reinforce:baseline=running-mean")
OBJECTIVES = ("ce", "epg", "aepg", "focal:gamma=2", "gce", *SAMPLED)


@pytest.fixture
def learn(make_vec: MakeVec, gpu: Traffic) -> Learn:
    """`learn(algorithm, **arguments)`: an agent on the pretend GPU after two tasks of two steps; its PEFT module is
    frozen in the first half of the second."""

    def learn(
        algorithm: type[OneStepAlgorithm] = EPG,
        feedback: str = "full",
        steps: int = 2,
        callback: BaseCallback | None = None,
        **arguments: Any,
    ) -> OneStepAlgorithm:
        kwargs = TINY | {"blocks": (0, 1, 2)} | arguments.pop("policy_kwargs", {})
        env = make_vec(BATCH, feedback=feedback)
        defaults = {"batch_size": BATCH, "freeze_fraction": 0.5, "seed": 0, "device": "cuda"}
        agent = algorithm("ViTPolicy", env, policy_kwargs=kwargs, **(defaults | arguments))
        for task in range(2):
            agent.get_env().set_options({"task": agent.policy.method.training_tasks(task)})
            agent.learn(steps * BATCH, callback, log_interval=1, reset_num_timesteps=task == 0)
        return agent

    return learn


def use(agent: OneStepAlgorithm, make_vec: MakeVec, folder: Path) -> None:
    """Test an agent, save it, load it, predict, and go on learning."""
    answers = evaluate_tasks(agent.policy, make_vec(BATCH, split="test"), range(2))
    agent.save(folder / "agent")
    loaded = type(agent).load(folder / "agent", agent.get_env(), device="cuda")
    assert {tensor.device for tensor in loaded.policy.parameters()} == {torch.device("cuda", 0)}
    again = evaluate_tasks(loaded.policy, make_vec(BATCH, split="test"), range(2))
    assert [test.predictions.tolist() for test in again] == [test.predictions.tolist() for test in answers]
    images = make_vec(BATCH).reset(seed=0)[0]
    assert (
        agent.predict(images, deterministic=True)[0].tolist() == loaded.predict(images, deterministic=True)[0].tolist()
    )
    loaded.predict(images)
    loaded.learn(BATCH)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_any_method(method: str, learn: Learn, make_vec: MakeVec, tmp_path: Path) -> None:
    objective = "ce" if METHODS[method].learns_by_gradient else "none"
    kwargs = {"method": SMALL.get(method, method), "peft": module_of(method)}
    use(learn(objective=objective, cache_features=True, policy_kwargs=kwargs), make_vec, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("peft", OWN_MODULES + LIBRARY_MODULES)
def test_any_module(peft: str, learn: Learn, tmp_path: Path) -> None:
    agent = learn(policy_kwargs={"peft": peft})
    agent.save(tmp_path / "agent")
    EPG.load(tmp_path / "agent", agent.get_env(), device="cuda").learn(BATCH)


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_any_objective_in_mixed_precision_on_crops(objective: str, learn: Learn) -> None:
    learn(objective=objective, precision="bfloat16", crop_scale=(0.3, 1.0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "arguments"),
    [
        (Reinforce, {}),
        (Reinforce, {"baseline": "running-mean"}),
        (ValueBandit, {}),
        (LinearBandit, {"exploration": 0.0}),
        (LinearBandit, {"rule": "thompson"}),
    ],
)
def test_any_learner_of_bandit_feedback(
    algorithm: type[OneStepAlgorithm],
    arguments: dict[str, Any],
    learn: Learn,
    make_vec: MakeVec,
    tmp_path: Path,
) -> None:
    use(learn(algorithm, feedback="bandit", **arguments), make_vec, tmp_path)


IMAGES = BATCH * 32 * 32 * 3
SMALL_PARTS = 20_000
"""The most bytes of a step that is not images: rewards, masks, crops."""


def steps_of(learn: Learn, gpu: Traffic, **arguments: Any) -> list[Traffic]:
    """The traffic of the training steps, on crops and with a log row each, as in a run."""
    watch = StepTraffic(gpu)
    learn(steps=6, callback=watch, **({"crop_scale": (0.3, 1.0), "precision": "bfloat16"} | arguments))
    return watch.steps


def test_a_step_with_images_in_main_memory_uploads_them_and_waits(learn: Learn, gpu: Traffic) -> None:
    steps = steps_of(learn, gpu, device_images="no")
    assert len(steps) == 2 * 5
    for step in steps:
        assert [event.size for event in step.events if event.kind == "upload"].count(IMAGES) == 1
        assert IMAGES < step.uploaded < IMAGES + SMALL_PARTS
        assert any(event.kind == "download" for event in step.waits)  # of the actions


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"crop_scale": None, "cache_features": True},
        {"policy_kwargs": {"method": "lae"}},
        {"crop_scale": None, "policy_kwargs": {"method": "l2p", "peft": "none"}},
    ],
    ids=str,
)
def test_a_step_with_images_on_the_device_uploads_little_and_never_waits(
    arguments: dict[str, Any], learn: Learn, gpu: Traffic
) -> None:
    steps = steps_of(learn, gpu, device_images="yes", **arguments)
    assert len(steps) == 2 * 5
    for step in steps:
        assert 0 < step.uploaded < SMALL_PARTS
        assert step.waits == []

"""Methods, PEFT modules and algorithms on a pretend GPU: nothing is on the wrong device, and no step waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from stable_baselines3.common.callbacks import BaseCallback

from agents import EPG, LinearBandit, Reinforce, ValueBandit
from agents.algorithms.one_step import OneStepAlgorithm
from agents.evaluation import evaluate_tasks
from agents.methods import METHODS
from tests.agents.policies import TINY
from tests.pretend_gpu import Record, pretend_gpu

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
SMALL = {"coda-prompt": "coda-prompt:components=10", "ranpac": "ranpac:projections=20", "replay": "replay:size=10"}
MODULES = ("lora:r=4", "adapter", "prefix", "vpt", "ssf", "full", "dora", "oft")


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    with pretend_gpu(monkeypatch) as record:
        yield record


def learn_and_test(kind: type[OneStepAlgorithm], make_vec: MakeVec, folder: Path, **arguments: Any) -> None:
    """Two tasks, tests, a save, a load, and further steps."""
    feedback = arguments.pop("feedback", "full")
    policy = {"policy_kwargs": TINY | arguments.pop("policy_kwargs", {})}
    given = {"batch_size": 8, "seed": 0, "device": "cuda"} | arguments | policy
    agent = kind("ViTPolicy", make_vec(8, feedback=feedback), **given)
    assert agent.policy.device.type == "cuda"
    for task in range(2):
        agent.get_env().set_options({"task": agent.policy.method.training_tasks(task)})
        agent.learn(16, log_interval=1, reset_num_timesteps=task == 0)
    evaluate_tasks(agent.policy, make_vec(7, split="test"), [0, 1])
    agent.save(folder / "agent")
    loaded = kind.load(folder / "agent", make_vec(8, feedback=feedback), device="cuda")
    loaded.learn(8)
    loaded.predict(make_vec(8).reset()[0])


@pytest.mark.parametrize("method", METHODS)
def test_methods(method: str, record: Record, make_vec: MakeVec, tmp_path: Path) -> None:
    definition = METHODS[method]
    objective = "epg" if definition.learns_by_gradient else "none"
    entries = {"method": SMALL.get(method, method), "peft": definition.default_peft}
    learn_and_test(EPG, make_vec, tmp_path, objective=objective, policy_kwargs=entries)
    assert record.errors == []


@pytest.mark.parametrize("peft", MODULES)
def test_peft_modules(peft: str, record: Record, make_vec: MakeVec, tmp_path: Path) -> None:
    learn_and_test(EPG, make_vec, tmp_path, precision="bfloat16", policy_kwargs={"peft": peft})
    assert record.errors == []


ALGORITHMS: list[dict[str, Any]] = [
    {"kind": EPG, "objective": "reinforce:samples=2", "device_images": "no"},
    {"kind": EPG, "crop_scale": (0.05, 1.0), "device_images": "no"},
    {"kind": EPG, "cache_features": True, "micro_batch": 3},
    {"kind": Reinforce, "baseline": "running-mean", "feedback": "bandit"},
    {"kind": ValueBandit, "feedback": "bandit"},
    {"kind": LinearBandit, "feedback": "bandit"},
    {"kind": LinearBandit, "rule": "thompson", "feedback": "bandit"},
]


@pytest.mark.parametrize("arguments", ALGORITHMS, ids=str)
def test_algorithms(arguments: dict[str, Any], record: Record, make_vec: MakeVec, tmp_path: Path) -> None:
    learn_and_test(make_vec=make_vec, folder=tmp_path, **arguments)
    assert record.errors == []


class Steps(BaseCallback):
    """Begins a new record at each step of the environment."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record
        self.uploads: list[int] = []
        self.waits: list[list[str]] = []

    def _on_step(self) -> bool:
        self.uploads.append(sum(size for size, _ in self._record.uploads))
        self.waits.append(list(self._record.waits))
        self._record.clear()
        return True


@pytest.mark.parametrize(
    "arguments",
    [
        {"objective": "aepg", "crop_scale": (0.05, 1.0)},
        {"objective": "ce", "cache_features": True},
        {"objective": "ce", "crop_scale": (0.05, 1.0), "policy_kwargs": {"method": "lae"}},
        {"objective": "epg", "policy_kwargs": {"method": "l2p", "peft": "none"}},
    ],
    ids=str,
)
def test_a_step_uploads_little_and_does_not_wait(arguments: dict[str, Any], record: Record, make_vec: MakeVec) -> None:
    policy = {"policy_kwargs": TINY | arguments.get("policy_kwargs", {})}
    agent = EPG("ViTPolicy", make_vec(24), batch_size=24, seed=0, device="cuda", **(arguments | policy))
    for task in range(2):
        steps = Steps(record)
        agent.get_env().set_options({"task": task})
        agent.learn(24 * 9, callback=steps, log_interval=1, reset_num_timesteps=task == 0)
        assert max(steps.uploads[1:]) <= 20_000
        assert [wait for waits in steps.waits[1:] for wait in waits] == []
    assert record.errors == []


def test_images_in_main_memory_are_uploaded_in_each_step(record: Record, make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(24), batch_size=24, seed=0, device="cuda", device_images="no", policy_kwargs=TINY)
    steps = Steps(record)
    agent.learn(24 * 4, callback=steps, log_interval=1)
    assert min(steps.uploads[1:]) >= 24 * 32 * 32 * 3
    assert all(steps.waits[1:])

"""Arguments set as attributes are taken on by the next `learn`; what a call can't work with is one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch

from agents import EPG, DivergedError, LinearBandit, PolicyConfig, ValueBandit
from agents.algorithms.one_step import OneStepAlgorithm
from tests.agents.policies import TINY

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
ALIKE: dict[str, Any] = {"batch_size": 8, "seed": 0, "device": "cpu", "policy_kwargs": TINY}


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0.01},
        {"learning_rate": lambda progress: 0.01 * progress},
        {"objective": "ce"},
        {"objective": "reinforce:samples=2"},
        {"batch_size": 16},
        {"crop_scale": (0.5, 1)},
        {"precision": "bfloat16"},
        {"freeze_fraction": 0.0},
    ],
)
def test_the_next_call_takes_them_on(changes: dict[str, Any], make_vec: MakeVec) -> None:
    """As an agent that was made with them."""
    heads = []
    for late in (True, False):
        agent = EPG("ViTPolicy", make_vec(8), **(ALIKE if late else ALIKE | changes))
        if late:
            for name, value in changes.items():
                setattr(agent, name, value)
        for task in range(2):
            agent.get_env().seed(task)
            agent.get_env().set_options({"task": task})
            agent.learn(32)
        heads.append(agent.policy.network.head.weight)
    assert torch.equal(heads[0], heads[1])


def test_within_a_task_too(make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), **ALIKE).learn(8)
    agent.learning_rate, agent.objective = 1e-9, "reinforce"
    agent.learn(8)
    assert agent.policy.optimizer.param_groups[0]["lr"] == 1e-9
    bandit = ValueBandit("ViTPolicy", make_vec(8), **ALIKE).learn(8)
    bandit.exploration = "epsilon-greedy:epsilon=0"
    probabilities = bandit.learn(8)._behavior_policy(torch.tensor([[0.0, 1.0]]), 0.0)
    assert probabilities.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("kind", "name", "value", "message"),
    [
        (EPG, "batch_size", 7, "batch_size 7 is not a multiple of the 8 environments"),
        (EPG, "batch_size", "8", "batch_size must be a whole number of at least 1, not '8'"),
        (EPG, "learning_rate", -1, "learning_rate must be finite and at least 0, not -1"),
        (EPG, "objective", "cee", "unknown objective 'cee'; did you mean 'ce'?"),
        (EPG, "objective", "none", "name an objective, not 'none'"),
        (EPG, "crop_scale", (1, 0.5), "crop_scale holds two shares of the area"),
        (EPG, "precision", "half", "unknown precision 'half'"),
        (ValueBandit, "exploration", "greedy", "unknown exploration 'greedy'"),
        (LinearBandit, "ridge", 2.0, r"ridge is 1 in the regressions and can't become 2"),
        (LinearBandit, "rule", "ubc", "did you mean 'ucb'"),
    ],
)
def test_or_refuses_them(kind: type[OneStepAlgorithm], name: str, value: Any, message: str, make_vec: MakeVec) -> None:
    agent = kind("ViTPolicy", make_vec(8), **ALIKE).learn(8)
    setattr(agent, name, value)
    with pytest.raises(ValueError, match=message):
        agent.learn(8)


def test_learning_rates(make_vec: MakeVec) -> None:
    for rate, message in (
        (1e38, r"^learning_rate must be at most 1e\+30, not 1e\+38$"),
        (
            lambda progress: float("nan"),
            r"^learning_rate must be finite and at least 0, not nan \(at remaining progress 1",
        ),
        (lambda progress: "x", r"^learning_rate must be a number, not 'x' \(at remaining"),
    ):
        with pytest.raises(ValueError, match=message):
            EPG("ViTPolicy", make_vec(8), "ce", rate, **ALIKE)
    for later in (-1.0, float("nan")):
        agent = EPG(
            "ViTPolicy", make_vec(8), "ce", lambda progress, later=later: 1e-3 if progress > 0.5 else later, **ALIKE
        )
        with pytest.raises(ValueError, match=rf"finite and at least 0, not {later} \(at remaining progress 0.5\)"):
            agent.learn(32)


@pytest.mark.parametrize(
    ("objective", "found"),
    [
        (lambda logits, rewards, progress: logits * rewards, r"not float32 of shape \(8, 6\)"),
        (lambda logits, rewards, progress: logits.mean(), r"not float32 of shape \(\)"),
        (lambda logits, rewards, progress: 1.0, "not 1.0"),
        (lambda logits, rewards, progress: None, "not None"),
        (lambda logits, rewards, progress: (logits * rewards).sum(1).detach(), "not a tensor without gradients"),
        (lambda logits, rewards, progress: logits.argmax(1), r"not int64 of shape \(8,\)"),
    ],
)
def test_objectives_that_return_something_else(objective: Any, found: str, make_vec: MakeVec) -> None:
    message = rf"must return one loss for each image, floating point of shape \(8,\) with gradients, {found}"
    with pytest.raises(ValueError, match=message):
        EPG("ViTPolicy", make_vec(8), objective, **ALIKE).learn(8)


def test_causes_that_are_no_learning_rate(make_vec: MakeVec) -> None:
    def broken(logits: torch.Tensor, rewards: torch.Tensor, progress: float) -> torch.Tensor:
        return logits[:, 0] * torch.nan

    with pytest.raises(DivergedError, match=r"the loss is NaN or infinite; .* or check that your objective gives"):
        EPG("ViTPolicy", make_vec(8), broken, **ALIKE).learn(16)
    with pytest.raises(DivergedError, match=r"task 0 with ridge 1e-300 and exploration 0.3: .*; raise ridge"):
        LinearBandit("ViTPolicy", make_vec(8), ridge=1e-300, **ALIKE).learn(48)
    with pytest.raises(ValueError, match=r"temperature must be in \[1e-30, inf\], not 1e-300"):
        ValueBandit("ViTPolicy", make_vec(8), "boltzmann:temperature=1e-300", **ALIKE)
    ValueBandit("ViTPolicy", make_vec(8), "boltzmann:temperature=1e-30", **ALIKE).learn(16)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (EPG, {"objektive": "ce"}, "^unknown argument of EPG 'objektive'; did you mean 'objective'?"),
        (LinearBandit, {"bogus": 1}, "^unknown argument of LinearBandit 'bogus'"),
        (EPG, {"policy_kwargs": {"optimizer_class": torch.optim.LBFGS}}, "^optimizer_class LBFGS can't be used here"),
        (EPG, {"policy_kwargs": {"method": "replay:size=1000000000000"}}, "^size=1000000000000 needs 3.07e.06 GB"),
        (EPG, {"policy_kwargs": {"method": "der++:size=1" + "0" * 25}}, "^size=10* needs 3.07e.19 GB of memory"),
        (EPG, {"crop_scale": (1, 0.5)}, "^crop_scale holds two shares of the area"),
        (LinearBandit, {"policy_kwargs": {"method": "lae"}}, "^LinearBandit learns on a frozen backbone"),
        (LinearBandit, {"policy_kwargs": {"config": PolicyConfig(method="lae")}}, "^LinearBandit learns on a frozen"),
        (EPG, {"policy_kwargs": {"blocks": (0, 0)}}, r"^blocks names a transformer block twice: \(0, 0\)"),
    ],
)
def test_arguments_that_can_not_work(
    kind: type[OneStepAlgorithm], arguments: dict[str, Any], message: str, make_vec: MakeVec
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        kind("ViTPolicy", make_vec(8), **(ALIKE | arguments))
    assert "\n" not in str(error.value)


def test_a_changed_rate_is_saved_as_it_is_used(make_vec: MakeVec, tmp_path: Path) -> None:
    agent = EPG("ViTPolicy", make_vec(8), **ALIKE)
    agent.learning_rate = 0.25
    agent._setup_lr_schedule()
    agent.learn(8).save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", device="cpu")
    assert loaded.learning_rate == loaded.policy.optimizer.param_groups[0]["lr"] == 0.25

"""Training that diverges stops with one line that says where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback

from agents import EPG, DivergedError, GymnasiumVecEnv, LinearBandit, Reinforce, ValueBandit
from agents.algorithms.one_step import OneStepAlgorithm
from agents.evaluation import evaluate_batch, evaluate_tasks
from agents.methods import METHODS
from agents.optimization.divergence import is_sensible, largest_size
from agents.sb3.policies import ViTActorCriticPolicy, ViTQPolicy
from agents.sb3.task_by_task import TaskByTask
from tests.agents.methods.conftest import module_of

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
ALIKE = {"batch_size": 8, "seed": 0, "device": "cpu"}
LEARNERS: dict[str, Callable[..., OneStepAlgorithm]] = {
    "epg": lambda env, **more: EPG("ViTPolicy", env, "epg", **more),
    "ce": lambda env, **more: EPG("ViTPolicy", env, "ce", **more),
    "sampled": lambda env, **more: EPG("ViTPolicy", env, "reinforce", **more),
    "reinforce": lambda env, **more: Reinforce("ViTPolicy", env, **more),
    "epsilon-greedy": lambda env, **more: ValueBandit("ViTPolicy", env, **more),
    "boltzmann": lambda env, **more: ValueBandit("ViTPolicy", env, "boltzmann", **more),
}


@pytest.mark.parametrize("rate", [1e30, 1e9])
@pytest.mark.parametrize("images", [8, 40])
@pytest.mark.parametrize("name", LEARNERS)
def test_it_stops_with_step_task_and_rate(name: str, images: int, rate: float, make_vec: MakeVec) -> None:
    """Also where the only gradient step of a call was one too large."""
    agent = LEARNERS[name](make_vec(8), learning_rate=rate, **ALIKE)
    agent.get_env().set_options({"task": 1})
    message = rf"^training diverged at gradient step [12] of task 1 with learning rate {rate:g}: .*; lower the learning"
    with pytest.raises(DivergedError, match=message.replace("+", r"\+")) as error:
        agent.learn(images)
    assert "\n" not in str(error.value) and isinstance(error.value, ValueError)


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.learns_by_gradient])
def test_with_every_method(method: str, make_vec: MakeVec) -> None:
    kwargs = {"method": method, "peft": module_of(method), "blocks": (0, 1, 2)}
    agent = EPG("ViTPolicy", make_vec(8), "ce", learning_rate=1e30, policy_kwargs=kwargs, **ALIKE)
    with pytest.raises(DivergedError):
        agent.learn(40)


def test_a_whole_backbone_that_diverges(make_vec: MakeVec) -> None:
    kwargs = {"model": "test_resnet", "pretrained": False, "peft": "full"}
    for images in (8, 40):
        agent = EPG("ViTPolicy", make_vec(8), "ce", learning_rate=1e12, policy_kwargs=kwargs, **ALIKE)
        with pytest.raises(DivergedError):
            agent.learn(images)


def test_a_loss_of_ones_own_that_is_no_number(make_vec: MakeVec) -> None:
    def late(logits: torch.Tensor, rewards: torch.Tensor, progress: float) -> torch.Tensor:
        return logits[:, 0] * (torch.nan if progress >= 0.5 else 1.0)

    agent = EPG("ViTPolicy", make_vec(8), late, **ALIKE)
    with pytest.raises(DivergedError, match=r"at gradient step 3 of task 0 .*: the loss is NaN or infinite"):
        agent.learn(32)
    with pytest.raises(DivergedError, match=r"at gradient step 2 of task 0 .*: the loss is NaN or infinite"):
        EPG("ViTPolicy", make_vec(8), late, **ALIKE).learn(16)  # it was the last step


def test_parameters_that_are_no_numbers_at_the_end(make_vec: MakeVec) -> None:
    class Spoil(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            with torch.no_grad():
                self.model.policy.network.head.bias[0] = torch.nan

    with pytest.raises(DivergedError, match="the parameters hold NaN or infinity"):
        EPG("ViTPolicy", make_vec(8), "ce", learning_rate=0.0, **ALIKE).learn(8, callback=Spoil())


def test_finite_outputs_beyond_the_limit(make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), "ce", **ALIKE).learn(8)
    with torch.no_grad():
        agent.policy.network.head.bias[0] = 2e4
    with pytest.raises(
        DivergedError, match=r"step 1 of task 0 .*: the outputs of the network reach 2e\+04, where 10000"
    ):
        agent.learn(8)


def test_large_rewards_make_large_values(make_vec: MakeVec) -> None:
    """Predicted rewards are as large as rewards, also in an agent that has just been loaded."""
    env = make_vec(8, reward_matrix=1e6 * np.eye(6))
    agent = ValueBandit("ViTPolicy", env, **ALIKE).learn(8)
    with torch.no_grad():
        agent.policy.network.head.bias += 5e5
    agent._largest_reward = None
    agent.learn(16)
    LinearBandit("ViTPolicy", make_vec(8), ridge=1e-12, **ALIKE).learn(16)


class Lost(gym.vector.VectorWrapper):
    """Loses the rewards that were paid, or all that are told."""

    def __init__(self, env: gym.vector.VectorEnv, told: bool) -> None:
        super().__init__(env)
        self.told = told

    def reset(self, **arguments: Any) -> Any:
        images, info = super().reset(**arguments)
        return images, info | ({"action_rewards": info["action_rewards"] * np.nan} if self.told else {})

    def step(self, actions: Any) -> Any:
        images, rewards, *rest = super().step(actions)
        return images, rewards * np.nan, *rest


@pytest.mark.parametrize("kind", [EPG, Reinforce, ValueBandit, LinearBandit])
def test_rewards_that_are_no_numbers_are_the_environments_fault(kind: Any, make_vec: MakeVec) -> None:
    """Predicted rewards would have passed over them, as over those of actions that were not chosen."""
    agent = kind("ViTPolicy", Lost(make_vec(8), told=kind is EPG), **ALIKE)
    with pytest.raises(ValueError, match="the environment returned rewards that are NaN or infinite"):
        agent.learn(32)


def test_checks_by_hand() -> None:
    values, allowed = torch.tensor([[1.0, torch.nan, -3e38], [2.0, -5.0, torch.inf]]), torch.tensor([[1, 0, 0]])
    assert is_sensible(values, allowed, 1e4)
    assert not is_sensible(values, torch.tensor([[0, 1, 0], [0, 1, 0]]), 1e4)
    assert not is_sensible(values, torch.tensor([[0, 0, 0], [0, 1, 0]]), 4.0)
    assert not is_sensible(values, torch.tensor([[0, 0, 0], [0, 0, 1]]), float("inf"))
    assert largest_size([]) == 0 and largest_size([torch.tensor([1.0, -7.0]), torch.empty(0)]) == 7
    assert np.isnan(largest_size([torch.tensor([1.0]), torch.tensor([torch.nan])]))


def test_one_transfer_a_step(make_vec: MakeVec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Actions and signs of divergence leave the device together."""
    transfers: list[tuple[int, ...]] = []
    own = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: transfers.append(tuple(self.shape)) or own(self))
    agent = EPG("ViTPolicy", make_vec(8), "ce", **ALIKE)
    transfers.clear()
    agent.learn(40, log_interval=100)
    assert transfers == [(10,)] * 5


def test_learning_is_what_it_was(make_vec: MakeVec) -> None:
    """No look at the logits costs a forward pass while parameters are of usual sizes."""
    seen: list[int] = []
    agent = EPG("ViTPolicy", make_vec(8), "ce", **ALIKE)
    agent.policy.network.backbone.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    agent.learn(40)
    assert seen == [8] * 5


def test_tests_of_a_policy_that_gives_no_numbers(make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), "ce", **ALIKE).learn(8)
    env = make_vec(10, split="test")
    with torch.no_grad():
        agent.policy.network.head.bias[1] = torch.nan
    with pytest.raises(DivergedError, match="scores seen classes with NaN: its training diverged"):
        evaluate_tasks(agent.policy, env, [0])
    logits = torch.tensor([[0.0, torch.nan]])
    answers = evaluate_batch(logits, torch.tensor([0]), torch.ones(1, 2), torch.tensor([0]), False)  # class 1 is unseen
    assert answers["predictions"].item() == 0


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_sb3s_own_algorithms_task_by_task(algorithm: str, make_vec: MakeVec) -> None:
    env = GymnasiumVecEnv(make_vec(8))
    if algorithm == "ppo":
        model: Any = PPO(ViTActorCriticPolicy, env, 1e30, n_steps=2, batch_size=8, n_epochs=2, device="cpu", seed=0)
    else:
        model = DQN(ViTQPolicy, env, 1e30, 64, learning_starts=0, batch_size=8, train_freq=1, device="cpu", seed=0)
    with pytest.raises(DivergedError, match="training diverged") as error:
        model.learn(64, callback=TaskByTask())
    assert "\n" not in str(error.value)

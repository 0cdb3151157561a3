"""Learning from the reward of the chosen action: REINFORCE, predicted rewards, linear bandits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import EPG, LinearBandit, Reinforce, ValueBandit
from agents.algorithms.exploration import boltzmann, epsilon_greedy, make_exploration
from agents.algorithms.linear_bandit import RidgeArms
from agents.algorithms.one_step import OneStepAlgorithm
from agents.algorithms.reinforce import importance_weighted
from agents.algorithms.value_bandit import squared_error
from agents.evaluation import evaluate_tasks
from agents.objectives import expected_policy_gradient_loss, mask_logits, reinforce_loss
from tests.agents.policies import EMBEDDED, TINY
from tests.slow_cases import slow_but

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
AGENTS: dict[str, tuple[type[OneStepAlgorithm], dict[str, Any]]] = {
    "reinforce": (Reinforce, {}),
    "reinforce-baseline": (Reinforce, {"baseline": "running-mean"}),
    "epsilon-greedy": (ValueBandit, {"exploration": "epsilon-greedy:epsilon=0.3,final=0"}),
    "boltzmann": (ValueBandit, {"exploration": "boltzmann:temperature=0.2"}),
    "linucb": (LinearBandit, {"rule": "ucb"}),
    "thompson": (LinearBandit, {"rule": "thompson"}),
}


def make(name: str, env: gym.vector.VectorEnv, **more: Any) -> OneStepAlgorithm:
    kind, arguments = AGENTS[name]
    alike = {"batch_size": 8, "seed": 0, "learning_rate": 2e-3, "device": "cpu", "policy_kwargs": TINY}
    return kind("ViTPolicy", env, **(alike | arguments | more))


def learn(agent: OneStepAlgorithm, tasks: range, images: int) -> OneStepAlgorithm:
    for task in tasks:
        agent.get_env().seed(task)
        agent.get_env().set_options({"task": task})
        agent.learn(images, reset_num_timesteps=task == 0)
    return agent


@pytest.mark.parametrize("name", slow_but(["reinforce", "epsilon-greedy", "linucb"], AGENTS))
def test_it_learns_a_stream_from_the_rewards_of_its_actions(name: str, make_vec: MakeVec) -> None:
    agent = learn(make(name, make_vec(8, feedback="bandit"), policy_kwargs=EMBEDDED), range(3), 160)
    accuracies = [test.accuracy for test in evaluate_tasks(agent.policy, make_vec(10, split="test"), range(3))]
    assert np.mean(accuracies) > 0.6  # chance is a sixth


@pytest.mark.parametrize("name", AGENTS)
def test_full_feedback_teaches_it_nothing_more(name: str, make_vec: MakeVec) -> None:
    heads = []
    for feedback in ("bandit", "full"):
        agent = learn(make(name, make_vec(8, feedback=feedback)), range(2), 40)
        heads.append(agent.policy.network.head.weight.detach())
    assert torch.equal(*heads) and heads[0].abs().sum() > 0


@pytest.mark.parametrize("name", AGENTS)
def test_a_saved_one_goes_on_as_if_it_had_not_been(name: str, make_vec: MakeVec, tmp_path: Path) -> None:
    straight = learn(make(name, make_vec(8, feedback="bandit")), range(3), 40)
    stopped = learn(make(name, make_vec(8, feedback="bandit")), range(2), 40)
    stopped.save(tmp_path / "agent")
    loaded = type(stopped).load(tmp_path / "agent", make_vec(8, feedback="bandit"), device="cpu")
    assert vars(loaded.policy.config) == vars(stopped.policy.config)
    learn(loaded, range(2, 3), 40)
    assert torch.equal(loaded.policy.network.head.weight, straight.policy.network.head.weight)
    with pytest.raises(ValueError, match=f"was saved by {type(stopped).__name__}, not by EPG"):
        EPG.load(tmp_path / "agent")


def test_epg_refuses_bandit_feedback_and_says_who_does_not(make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8, feedback="bandit"), batch_size=8, device="cpu")
    with pytest.raises(ValueError, match=r"feedback='bandit' withholds it.*Reinforce, PPO or A2C"):
        agent.learn(8)


def test_the_weighted_rewards_are_right_in_expectation() -> None:
    policy = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64)
    rewards = torch.tensor([[0.7, -1.0, 2.0]], dtype=torch.float64)
    estimates = [importance_weighted(policy, torch.tensor([action]), rewards[:, action]) for action in range(3)]
    expected = sum(policy[0, action] * estimate for action, estimate in enumerate(estimates))
    assert torch.allclose(expected, rewards, atol=1e-12)


def test_epgs_gradient_of_weighted_rewards_is_reinforces() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 4, generator=generator, dtype=torch.float64).requires_grad_()
    rewards = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    actions = torch.tensor([0, 3, 1, 1, 2])
    paid = rewards.gather(1, actions[:, None]).squeeze(1)
    estimate = importance_weighted(logits.detach().softmax(dim=1), actions, paid - 0.3)
    (ours,) = torch.autograd.grad(expected_policy_gradient_loss(logits, estimate).sum(), logits)
    (theirs,) = torch.autograd.grad(reinforce_loss(logits, rewards, actions[:, None], baseline=0.3).sum(), logits)
    assert torch.allclose(ours, theirs, atol=1e-12)


def test_explorations_by_hand() -> None:
    values = mask_logits(torch.tensor([[0.1, 0.4, 9.0]]), torch.tensor([[1, 1, 0]]))
    assert epsilon_greedy(values, 0.5, epsilon=0.4, final=0.2)[0].tolist() == pytest.approx([0.15, 0.85, 0])
    odds = np.exp((0.4 - 0.1) / (0.2**0.5 * 0.05**0.5))
    found = boltzmann(values, 0.5, temperature=0.2, final=0.05)
    assert found[0].tolist() == pytest.approx([1 / (1 + odds), odds / (1 + odds), 0])


def test_the_squared_error_is_of_known_rewards_alone() -> None:
    values = torch.tensor([[0.5, 2.0], [1.0, -1.0]], requires_grad=True)
    loss = squared_error(values, torch.tensor([[1.0, torch.nan], [torch.nan, torch.nan]]))
    assert loss.tolist() == [0.25, 0.0]
    loss.sum().backward()
    assert values.grad is not None and values.grad.tolist() == [[-1.0, 0.0], [0.0, 0.0]]


def test_arms_are_ridge_regressions() -> None:
    random = np.random.default_rng(0)
    x, rewards, chosen = random.normal(size=(30, 5)), random.normal(size=30), random.integers(0, 3, 30)
    arms = RidgeArms(3, 5, ridge=0.7)
    arms.observe(*map(torch.from_numpy, (x, chosen, rewards)))
    for arm in range(3):
        here = x[chosen == arm]
        gram = 0.7 * np.eye(5) + here.T @ here
        theta = np.linalg.solve(gram, here.T @ rewards[chosen == arm])
        assert np.allclose(arms.coefficients([arm])[0], theta)
        width = np.sqrt(np.einsum("bd,de,be->b", x, np.linalg.inv(gram), x))
        assert np.allclose(arms.widths(torch.from_numpy(x), [arm])[:, 0], width)


def test_optimism_turns_to_the_arm_it_knows_least(make_vec: MakeVec) -> None:
    """The first of equals is tried at first; where that is never paid, the other of the task is next."""
    env = make_vec(8, feedback="bandit", reward_matrix=np.zeros((6, 6)))
    agent = make("linucb", env, exploration=1.0)
    tried = []
    for _ in range(2):
        agent.learn(8)
        known = agent._arms.inverse != torch.eye(agent._arms.inverse.shape[1], dtype=torch.float64)
        tried.append(known.any(dim=2).any(dim=1).nonzero().flatten().tolist())
    assert tried == [[0], [0, 1]]


def test_wrong_arguments_are_named(make_vec: MakeVec) -> None:
    env = make_vec(8, feedback="bandit")
    for kind, arguments, message in (
        (Reinforce, {"baseline": "mean"}, "did you mean 'running-mean'"),
        (ValueBandit, {"exploration": "boltzman"}, "did you mean 'boltzmann'"),
        (ValueBandit, {"exploration": "boltzmann:temperature=0"}, r"temperature must be in \[1e-30, inf\], not 0"),
        (ValueBandit, {"exploration": "epsilon-greedy:epsilon=2"}, r"epsilon must be in \[0, 1\]"),
        (LinearBandit, {"rule": "ubc"}, "did you mean 'ucb'"),
        (LinearBandit, {"ridge": 0.0}, "ridge above 0"),
        (LinearBandit, {"policy_kwargs": {"peft": "lora"}}, "peft must be 'none'"),
        (Reinforce, {"policy_kwargs": {"method": "ncm", "peft": "none"}}, "learns without gradients"),
    ):
        with pytest.raises(ValueError, match=message):
            kind("ViTPolicy", env, batch_size=8, **arguments)
    with pytest.raises(ValueError, match="unknown exploration 'greedy'"):
        make_exploration("greedy")

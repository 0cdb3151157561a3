"""Agents under other rewards than 0 and 1, and under schedules."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3.common.callbacks import BaseCallback

from agents import EPG, GymnasiumVecEnv, LinearBandit, Reinforce, ViTFeatures
from agents.algorithms.one_step import OneStepAlgorithm
from cls_env import TaskStream, cost_sensitive_rewards, load_dataset
from tests.agents.policies import TINY

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]


def greedy(agent: OneStepAlgorithm, env: gym.vector.VectorEnv) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and the agent's best actions, on all images that the environment shows at once."""
    images, info = env.reset(seed=0)
    return info["label"], agent.predict(images, deterministic=True)[0]


def test_epg_abstains_where_it_is_unsure() -> None:
    dataset = load_dataset("glyphs", num_classes=6, train_per_class=20, test_per_class=20, hard_fraction=0.5)
    stream = TaskStream(dataset, 1)
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=8, dataset=stream, abstain_reward=0.7)
    agent = EPG("ViTPolicy", env, "epg", batch_size=8, learning_rate=2e-3, seed=0, device="cpu").learn(720)
    labels, actions = greedy(agent, gym.make_vec("cls_env/ClassIncremental-v0", 120, dataset=stream, split="test"))
    answered = actions < 6
    assert 0.3 < answered.mean() < 1.0
    agent.policy.network.head.bias.data[6] = -torch.inf  # what it would have said of the others
    forced = greedy(agent, gym.make_vec("cls_env/ClassIncremental-v0", 120, dataset=stream, split="test"))[1]
    right = forced == labels
    assert right[answered].mean() > right[~answered].mean() + 0.1


def test_gaussian_noise_on_rewards_is_warned_of_where_it_biases(make_vec: MakeVec) -> None:
    env = make_vec(8, reward_noise="gaussian:deviation=0.5")
    with pytest.warns(UserWarning, match="objective 'ce' is not linear in the rewards.*use objective='epg'"):
        EPG("ViTPolicy", env, "ce", batch_size=8, seed=0, device="cpu").learn(8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        EPG("ViTPolicy", env, "epg", batch_size=8, seed=0, device="cpu").learn(8)
        EPG("ViTPolicy", make_vec(8, reward_noise="flip"), "ce", batch_size=8, seed=0, device="cpu").learn(8)


def test_costs_move_choices(make_vec: MakeVec) -> None:
    """Missing class 0 costs ten times as much as missing class 1: where one is unsure, 0 is said."""
    says_zero = []
    for costs in ([1, 1, 1, 1, 1, 1], [10, 1, 1, 1, 1, 1]):
        env = make_vec(8, reward_matrix=cost_sensitive_rewards(np.array(costs, dtype=float)))
        agent = EPG("ViTPolicy", env, "epg", batch_size=8, seed=0, device="cpu").learn(48)
        logits = agent.policy(torch.from_numpy(make_vec(10, split="test").reset()[0]))
        says_zero.append(logits[:, :2].softmax(dim=1)[:, 0].mean().item())
    assert says_zero[1] > says_zero[0] + 0.02


@pytest.mark.parametrize("kind", [Reinforce, LinearBandit])
def test_bandits_learn_from_noisy_rewards(kind: type[OneStepAlgorithm], make_vec: MakeVec) -> None:
    env = make_vec(8, feedback="bandit", reward_noise="flip:probability=0.1")
    agent = kind("ViTPolicy", env, batch_size=8, learning_rate=2e-3, seed=0, device="cpu").learn(320)
    labels, actions = greedy(agent, make_vec(10, split="test"))
    assert (labels == actions).mean() >= 0.8  # of two classes


def test_regret_is_what_was_not_paid(make_vec: MakeVec) -> None:
    env = make_vec(8, feedback="bandit")
    agent = Reinforce("ViTPolicy", env, batch_size=8, seed=0, device="cpu")
    rewards: list[float] = []

    class Sum(BaseCallback):
        def _on_step(self) -> bool:
            rewards.extend(self.locals["rewards"].tolist())
            return True

    agent.learn(80, callback=Sum())
    assert env.unwrapped.num_episodes == len(rewards) == 80
    assert env.unwrapped.total_regret == pytest.approx(80 - sum(rewards))


def test_an_algorithm_without_tasks_goes_through_a_schedule(make_vec: MakeVec) -> None:
    env = GymnasiumVecEnv(make_vec(8, feedback="bandit", task_schedule=64, task_blur=0.5))
    kwargs = {"features_extractor_class": ViTFeatures, "features_extractor_kwargs": TINY, "net_arch": []}
    model = MaskablePPO(
        "CnnPolicy", env, n_steps=4, batch_size=16, n_epochs=1, seed=0, device="cpu", policy_kwargs=kwargs
    )
    seen: list[int] = []

    class Tasks(BaseCallback):
        def _on_step(self) -> bool:
            seen.extend(self.training_env.unwrapped.batch_info["final_info"]["task"].tolist())
            return True

    model.learn(192, callback=Tasks())
    assert seen[:40] == [0] * 40 and seen[-40:] == [2] * 40 and set(seen) == {0, 1, 2}
    assert any(later < earlier for earlier, later in pairwise(seen))  # blurred


def test_epg_asks_for_one_task_a_call(make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8, task_schedule=16), batch_size=8, seed=0, device="cpu")
    with pytest.raises(ValueError, match="moved on to new classes during learn"):
        agent.learn(48)

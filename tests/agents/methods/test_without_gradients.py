"""Nearest class mean and RanPAC against scikit-learn's own."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestCentroid

from agents import EPG
from agents.methods.ranpac import PENALTIES, ridge
from cls_env import TaskStream
from tests.agents.methods.conftest import learn

MakeVec = Callable[..., gym.vector.VectorEnv]
MakeAgent = Callable[..., EPG]


def features_and_labels(agent: EPG, stream: TaskStream, split: str) -> tuple[np.ndarray, np.ndarray]:
    rows = np.concatenate([task.indices(split) for task in stream.tasks])
    images = torch.from_numpy(np.ascontiguousarray(stream.images(split)[rows]))
    with torch.no_grad():
        return agent.policy.features(images).numpy(), stream.labels(split)[rows]


def answers(agent: EPG, stream: TaskStream) -> np.ndarray:
    rows = np.concatenate([task.test_indices for task in stream.tasks])
    return agent.predict(np.ascontiguousarray(stream.images("test")[rows]), deterministic=True)[0]


@pytest.mark.parametrize("envs", [8, 5, 40])  # 24 images a task: whole batches, a rest, and less than one
def test_ncm_is_scikit_learns_nearest_centroid(
    envs: int, make_agent: MakeAgent, make_vec: MakeVec, stream: TaskStream
) -> None:
    agent = make_agent("ncm:metric=euclidean", env=make_vec(envs), batch_size=envs)
    learn(agent, range(3))
    features, labels = features_and_labels(agent, stream, "train")
    known = NearestCentroid().fit(features, labels)
    assert np.array_equal(answers(agent, stream), known.predict(features_and_labels(agent, stream, "test")[0]))
    assert agent.policy.method.counts.tolist() == [12] * 6 and agent.num_timesteps == 72


def test_ncm_by_cosine(make_agent: MakeAgent, stream: TaskStream) -> None:
    agent = learn(make_agent("ncm"), range(3))
    features, labels = features_and_labels(agent, stream, "train")
    means = np.stack([features[labels == label].mean(axis=0) for label in range(6)])
    tests, _ = features_and_labels(agent, stream, "test")
    cosines = tests @ means.T / np.linalg.norm(tests, axis=1)[:, None] / np.linalg.norm(means, axis=1)
    assert np.array_equal(answers(agent, stream), cosines.argmax(axis=1))


def test_ncm_knows_a_class_that_comes_again(make_agent: MakeAgent, make_vec: MakeVec) -> None:
    agent = make_agent("ncm")
    learn(agent, range(3))
    agent.get_env().set_options({"task": [0, 2]})
    agent.learn(8)
    assert sorted(agent.policy.method.counts.tolist()) == [12, 12, 24, 24, 24, 24]


def test_ridge_is_scikit_learns() -> None:
    h, y = torch.randn(30, 6, dtype=torch.float64), torch.randn(30, 3, dtype=torch.float64)
    found = ridge(h.T @ h, h.T @ y, 0.7)
    expected = Ridge(alpha=0.7, fit_intercept=False).fit(h.numpy(), y.numpy()).coef_.T
    torch.testing.assert_close(found, torch.from_numpy(expected))


def test_ranpac_of_three_tasks_is_one_ridge_regression(make_agent: MakeAgent, stream: TaskStream) -> None:
    """What is summed up over the tasks is all that a regression on all images at once needs."""
    agent = learn(make_agent("ranpac:projections=60"), range(3))
    method = agent.policy.method
    features, labels = features_and_labels(agent, stream, "train")
    h = method.random_features(torch.from_numpy(features)).double().numpy()
    targets = np.eye(6)[labels]
    tests, _ = features_and_labels(agent, stream, "test")
    inputs = method.random_features(torch.from_numpy(tests)).double().numpy()
    by_penalty = [Ridge(alpha=p, fit_intercept=False).fit(h, targets).predict(inputs) for p in PENALTIES]
    with torch.no_grad():
        found = agent.policy.method.scores(agent.policy.network, torch.zeros(1, 3, 32, 32)).shape
    assert found == (1, 6)
    ours = inputs @ method.solution.double().numpy()
    assert min(np.abs(ours - other).max() for other in by_penalty) < 1e-3


def test_the_penalty_is_the_one_with_the_smallest_error_on_images_held_out(make_agent: MakeAgent) -> None:
    method = make_agent("ranpac:projections=40").policy.method
    random = torch.Generator().manual_seed(0)
    h = torch.randn(50, 40, generator=random, dtype=torch.float64)
    y = (h @ torch.randn(40, 6, generator=random, dtype=torch.float64)) + 30 * torch.randn(
        50, 6, generator=random, dtype=torch.float64
    )
    chosen = method._best_penalty(h, y, seed=3)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(3))
    kept, held_out = order[10:], order[:10]
    errors = [
        np.square(
            Ridge(alpha=p, fit_intercept=False).fit(h[kept].numpy(), y[kept].numpy()).predict(h[held_out].numpy())
            - y[held_out].numpy()
        ).mean()
        for p in PENALTIES
    ]
    assert chosen == PENALTIES[int(np.argmin(errors))]
    assert PENALTIES[0] < chosen < PENALTIES[-1]


def test_the_best_action_is_the_tasks_own_where_rewards_are_penalties(make_agent: MakeAgent, make_vec: MakeVec) -> None:
    """With R = 1 - I a right answer is worth 0, which actions of other tasks must not tie with."""
    agent = learn(make_agent("ncm", env=make_vec(8, reward_matrix=np.eye(6) - 1)), range(3))
    assert agent.policy.method.counts.tolist() == [12] * 6


def test_steps_are_those_of_images_looked_at(make_agent: MakeAgent) -> None:
    agent = learn(make_agent("ncm"), range(1))
    assert agent.num_timesteps == 24
    agent.learn(8, reset_num_timesteps=False)
    assert agent.num_timesteps == 24


def test_an_image_with_several_best_actions_has_no_label(make_agent: Callable[..., EPG], make_vec: MakeVec) -> None:
    noisy = make_vec(8, reward_noise="flip:probability=0.5")
    with pytest.raises(ValueError, match=r"one label for each image, but several actions .* without reward_noise"):
        make_agent("ncm", env=noisy).learn(8)

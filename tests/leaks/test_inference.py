"""What must not reach inference: the task of an image, its label, and anything else in `info`.

That the other images of a batch do not is tested in `tests/agents/methods/test_all_methods.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agents import EPG, LinearBandit, Reinforce, ValueBandit
from agents.evaluation import TaskEvaluation, evaluate_tasks
from cls_env import TaskStream
from tests.agents.policies import TINY
from tests.leaks.conftest import TRIED, learn, new_agent, vector_env

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def trained(stream: TaskStream) -> Callable[[str], EPG]:
    """`trained(method)`: after three tasks; each method is trained once."""
    known: dict[str, EPG] = {}
    return lambda method: known.setdefault(method, learn(new_agent(method, stream), range(3)))


class Lying(gym.vector.VectorWrapper):
    """An environment whose `info` tells wrong tasks, wrong masks and wrong labels."""

    def reset(self, **arguments: object) -> tuple[object, dict[str, Any]]:
        images, info = super().reset(**arguments)
        return images, self._wrong(info)

    def step(self, actions: object) -> tuple[Any, ...]:
        *rest, info = super().step(actions)
        return (*rest, self._wrong(info))

    def _wrong(self, info: dict[str, Any]) -> dict[str, Any]:
        wrong = {name: (info[name] + 1) % modulus for name, modulus in (("task", 3), ("label", 6))}
        masks = {name: np.roll(info[name], 2, axis=1) for name in ("task_mask", "action_mask")}
        return info | wrong | masks | {"action_rewards": np.roll(info["action_rewards"], 1, axis=1)}


def predictions_by_image(tests: list[TaskEvaluation], stream: TaskStream) -> list[int]:
    """The prediction for each test image, in the order of the test split."""
    rows = np.concatenate([stream.tasks[test.task].test_indices for test in tests])
    found = np.concatenate([test.predictions for test in tests])
    return found[np.argsort(rows)].tolist()


@pytest.mark.parametrize("method", TRIED)
def test_nothing_in_info_reaches_the_policy(method: str, trained: Callable[[str], EPG], stream: TaskStream) -> None:
    policy = trained(method).policy
    right, wrong = (
        evaluate_tasks(policy, wrapper(vector_env(stream, 10, split="test")), range(3))
        for wrapper in (gym.vector.VectorWrapper, Lying)
    )
    for one, other in zip(right, wrong, strict=True):
        assert not np.array_equal(one.labels, other.labels)
        for name in ("predictions", "entropy", "confidence"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_lies_are_noticed(trained: Callable[[str], EPG], stream: TaskStream) -> None:
    """A policy that is given the task is misled by them, so that the test above can fail."""
    policy = trained("sequential").policy
    right, wrong = (
        evaluate_tasks(policy, wrapper(vector_env(stream, 10, split="test")), range(3), task_id_given=True)
        for wrapper in (gym.vector.VectorWrapper, Lying)
    )
    assert all(not np.array_equal(one.predictions, other.predictions) for one, other in zip(right, wrong, strict=True))


@pytest.mark.parametrize("method", TRIED)
def test_a_prediction_does_not_depend_on_the_task_of_the_image(
    method: str, trained: Callable[[str], EPG], stream: TaskStream
) -> None:
    """The test images in three tasks, in one, and in six."""
    policy = trained(method).policy
    answers = []
    for tasks in (3, 1, 6):
        other = TaskStream(stream.dataset, tasks, class_order=stream.class_order, seed=1)
        tests = evaluate_tasks(policy, vector_env(other, 7, split="test"), range(tasks))
        answers.append(predictions_by_image(tests, other))
    assert len(answers[0]) == 30 and answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("kind", [Reinforce, ValueBandit, LinearBandit])
def test_a_prediction_does_not_depend_on_the_other_images(kind: type[Any], stream: TaskStream) -> None:
    shared = {"batch_size": 8, "seed": 0, "device": "cpu", "policy_kwargs": TINY}
    agent = kind("ViTPolicy", vector_env(stream, feedback="bandit"), **shared)
    for task in range(3):
        agent.get_env().seed(task)
        agent.get_env().set_options({"task": task})
        agent.learn(32, reset_num_timesteps=task == 0)
    answers = [
        [
            each.predictions.tolist()
            for each in evaluate_tasks(agent.policy, vector_env(stream, size, split="test"), range(3))
        ]
        for size in (10, 1, 7)
    ]
    assert answers[0] == answers[1] == answers[2]

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest

from agents import EPG
from agents.evaluation import test_tasks as run_tests
from cls_env import TaskStream

MakeVec = Callable[..., gym.vector.VectorEnv]


@pytest.fixture
def agent(make_vec: MakeVec) -> EPG:
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, seed=0, device="cpu")
    for task in range(2):
        agent.get_env().set_options({"task": task})
        agent.learn(80)
    return agent


def test_every_test_image_is_classified_once_in_order(agent: EPG, stream: TaskStream, make_vec: MakeVec) -> None:
    tests = run_tests(agent.policy, make_vec(7, split="test"), [0, 1])
    for test, task in zip(tests, stream.tasks, strict=False):
        assert np.array_equal(test.labels, stream.test_labels[task.test_indices])
        assert len(test.predictions) == len(test.entropy) == 10


@pytest.mark.parametrize("num_envs", [1, 3, 10, 64])
def test_answers_do_not_depend_on_the_batch(agent: EPG, make_vec: MakeVec, num_envs: int) -> None:
    reference = run_tests(agent.policy, make_vec(10, split="test"), [0, 1])
    for test, expected in zip(
        run_tests(agent.policy, make_vec(num_envs, split="test"), [0, 1]), reference, strict=True
    ):
        assert np.array_equal(test.predictions, expected.predictions)
        np.testing.assert_allclose(test.entropy, expected.entropy, atol=1e-4)


def test_choice_is_among_all_classes_met_and_no_other(agent: EPG, make_vec: MakeVec) -> None:
    tests = run_tests(agent.policy, make_vec(10, split="test"), [0, 1, 2])
    assert set(np.concatenate([test.predictions for test in tests])) <= {0, 1, 2, 3}
    assert tests[2].accuracy == 0.0
    assert max(test.entropy.max() for test in tests) <= np.log(4) + 1e-5


def test_untrained_policy_is_uniform_over_everything(stream: TaskStream, make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, device="cpu")
    (test,) = run_tests(agent.policy, make_vec(10, split="test"), [0])
    np.testing.assert_allclose(test.entropy, np.log(6), atol=1e-6)

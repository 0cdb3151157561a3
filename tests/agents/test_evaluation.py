from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents import EPG
from agents.evaluation import evaluate_batch, evaluate_tasks
from cls_env import TaskStream

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]


@pytest.fixture
def agent(make_vec: MakeVec) -> EPG:
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, seed=0, device="cpu")
    for task in range(2):
        agent.get_env().set_options({"task": task})
        agent.learn(80)
    return agent


def test_every_test_image_is_classified_once_in_order(agent: EPG, stream: TaskStream, make_vec: MakeVec) -> None:
    tests = evaluate_tasks(agent.policy, make_vec(7, split="test"), [0, 1])
    for test, task in zip(tests, stream.tasks, strict=False):
        assert np.array_equal(test.labels, stream.test_labels[task.test_indices])
        assert len(test.predictions) == len(test.entropy) == 10


@pytest.mark.parametrize("num_envs", [1, 3, 10, 64])
def test_answers_do_not_depend_on_the_batch(agent: EPG, make_vec: MakeVec, num_envs: int) -> None:
    reference = evaluate_tasks(agent.policy, make_vec(10, split="test"), [0, 1])
    for test, expected in zip(
        evaluate_tasks(agent.policy, make_vec(num_envs, split="test"), [0, 1]), reference, strict=True
    ):
        assert np.array_equal(test.predictions, expected.predictions)
        np.testing.assert_allclose(test.entropy, expected.entropy, atol=1e-4)


def test_choice_is_among_all_classes_met_and_no_other(agent: EPG, make_vec: MakeVec) -> None:
    tests = evaluate_tasks(agent.policy, make_vec(10, split="test"), [0, 1, 2])
    assert set(np.concatenate([test.predictions for test in tests])) <= {0, 1, 2, 3}
    assert tests[2].accuracy == 0.0
    assert max(test.entropy.max() for test in tests) <= np.log(4) + 1e-5


def test_untrained_policy_is_uniform_over_everything(stream: TaskStream, make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, device="cpu")
    (test,) = evaluate_tasks(agent.policy, make_vec(10, split="test"), [0])
    np.testing.assert_allclose(test.entropy, np.log(6), atol=1e-6)


# Of five actions 3, 0 and 2 are seen, in this order; the image's task holds 0 and 2.
SEEN = torch.tensor([3, 0, 2])
LOGITS = torch.tensor([[0.0, -torch.inf, np.log(3.0), np.log(4.0), -torch.inf]]).float()
MASK = torch.tensor([[1, 0, 1, 0, 0]])


@pytest.mark.parametrize(("label", "likelihood"), [(0, 1 / 8), (2, 3 / 8), (3, 4 / 8), (1, 0)])
def test_answers_worked_by_hand(label: int, likelihood: float) -> None:
    answers = evaluate_batch(LOGITS, torch.tensor([label]), MASK, SEEN, task_id_given=False)
    assert answers["predictions"].item() == 3 and answers["task_predictions"].item() == 2
    assert answers["confidence"].item() == pytest.approx(0.5)
    assert answers["log_likelihood"].exp().item() == pytest.approx(likelihood)
    shares, within = np.array([4, 1, 3]) / 8, np.array([1, 3]) / 4
    assert answers["entropy"].item() == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-6)
    assert answers["task_entropy"].item() == pytest.approx(-(within * np.log(within)).sum(), rel=1e-6)


def test_named_task_is_chosen_within() -> None:
    answers = evaluate_batch(LOGITS, torch.tensor([0]), MASK, SEEN, task_id_given=True)
    assert answers["predictions"].item() == answers["task_predictions"].item() == 2
    assert answers["confidence"].item() == pytest.approx(0.75)
    assert answers["log_likelihood"].exp().item() == pytest.approx(0.25)
    assert answers["entropy"] == answers["task_entropy"]


@pytest.mark.parametrize("label", [1, 4])
def test_task_not_met_is_never_answered_right(label: int) -> None:
    answers = evaluate_batch(LOGITS, torch.tensor([label]), torch.tensor([[0, 1, 0, 0, 1]]), SEEN, task_id_given=False)
    assert answers["task_predictions"].item() != label and answers["predictions"].item() != label


def test_probabilities_are_cross_entropys(agent: EPG, make_vec: MakeVec) -> None:
    env = make_vec(10, split="test")
    (test,) = evaluate_tasks(agent.policy, env, [1])
    images, _ = env.reset(options={"task": 1})
    with torch.no_grad():
        logits = agent.policy(torch.from_numpy(images))[:, agent.policy.network.head.actions]
    places = [agent.policy.network.head.actions.tolist().index(label) for label in test.labels]
    expected = -torch.nn.functional.cross_entropy(logits, torch.tensor(places), reduction="none")
    np.testing.assert_allclose(test.log_likelihood, expected, atol=1e-5)
    np.testing.assert_allclose(test.confidence, logits.softmax(dim=1).amax(dim=1), atol=1e-5)

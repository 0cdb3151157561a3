"""An agent knows the names of its classes, and refuses or matches those of another environment."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents import EPG, LinearBandit, Reinforce, ValueBandit
from agents.algorithms.one_step import OneStepAlgorithm
from agents.evaluation import evaluate_tasks
from agents.methods import METHODS, NO_OBJECTIVE
from agents.networks.class_names import move_actions, new_positions
from cls_env import ImageDataset
from tests.agents.algorithms.conftest import env_of
from tests.agents.methods.conftest import module_of
from tests.slow_cases import slow_but

pytestmark = pytest.mark.long

SMALL = {"ranpac": "ranpac:projections=200", "replay": "replay:batch=8", "der++": "der++:batch=8"}
AGENTS: dict[str, Callable[..., OneStepAlgorithm]] = {
    **{
        name: lambda env, name=name, **more: EPG(
            "ViTPolicy",
            env,
            "ce" if METHODS[name].learns_by_gradient else NO_OBJECTIVE,
            policy_kwargs={"method": SMALL.get(name, name), "peft": module_of(name), "blocks": (0, 1, 2)},
            **more,
        )
        for name in METHODS
    },
    "reinforce": lambda env, **more: Reinforce("ViTPolicy", env, **more),
    "values": lambda env, **more: ValueBandit("ViTPolicy", env, **more),
    "values-replay": lambda env, **more: ValueBandit("ViTPolicy", env, policy_kwargs={"method": "replay"}, **more),
    "linear": lambda env, **more: LinearBandit("ViTPolicy", env, **more),
}
ALIKE = {"batch_size": 8, "learning_rate": 5e-3, "seed": 0, "device": "cpu"}


def learn(agent: OneStepAlgorithm, tasks: range, images: int = 80) -> OneStepAlgorithm:
    for task in tasks:
        agent.get_env().seed(task)
        agent.get_env().set_options({"task": task})
        agent.learn(images)
    return agent


def scores(agent: OneStepAlgorithm, images: np.ndarray) -> torch.Tensor:
    agent.policy.set_training_mode(False)
    with torch.no_grad():
        return agent.policy(torch.from_numpy(images.copy()))


OTHER: dict[str, Any] = {"order": [7, 4, 3, 2, 6, 1, 0, 5], "num_tasks": 4}
"""Another order of eight classes, among which are the six that were learned."""


@pytest.mark.parametrize("name", slow_but(["sequential", "l2p", "ranpac", "der++", "values-replay", "linear"], AGENTS))
def test_classes_are_matched_by_name(name: str, six: ImageDataset, eight: ImageDataset, tmp_path: Path) -> None:
    agent = learn(AGENTS[name](env_of(six, [2, 0, 5, 3, 1, 4], 3), **ALIKE), range(2), 40)
    agent.save(tmp_path / "agent")
    kind = type(agent)
    with pytest.raises(ValueError, match="classes of the environment and of the agent differ") as error:
        kind.load(tmp_path / "agent", env_of(eight, **OTHER), device="cpu")
    assert "\n" not in str(error.value)
    loaded = kind.load(tmp_path / "agent", env_of(eight, **OTHER), device="cpu", match_classes=True)
    later = kind.load(tmp_path / "agent", device="cpu")
    later.set_env(env_of(eight, **OTHER), match_classes=True)
    for model in (loaded, later):
        _answers_as_before(agent, model, six, eight)

    names, begun = list(later.class_names), later.policy.network.tasks_begun
    learn(later, range(1), 80)
    assert later.policy.network.tasks_begun == begun + 1
    assert {names.index(each) for each in names[:2]} <= set(later.policy.network.head.actions.tolist())
    if name != "frozen":
        tests = evaluate_tasks(later.policy, env_of(eight, **OTHER, split="test"), [0])
        assert tests[0].accuracy > 0.4  # chance is a sixth


def _answers_as_before(agent: Any, matched: Any, six: ImageDataset, eight: ImageDataset) -> None:
    """See that an agent whose classes were matched answers, by name, as it did before."""
    names = [eight.class_names[label] for label in OTHER["order"]]
    assert list(matched.class_names) == names and matched.action_space.n == 8
    images = np.ascontiguousarray(six.test_images)
    old, new = scores(agent, images), scores(matched, images)
    columns = [names.index(each) for each in agent.class_names]
    torch.testing.assert_close(new[:, columns], old)  # sums over classes are taken in another order
    assert torch.isinf(new[:, [names.index(each) for each in eight.class_names[6:]]]).all()
    chosen = [
        [model.class_names[action] for action in model.predict(images, deterministic=True)[0]]
        for model in (agent, matched)
    ]
    assert chosen[0] == chosen[1]
    # All eight classes as one task: its images of the four seen classes are answered as before.
    (test,) = evaluate_tasks(matched.policy, env_of(eight, OTHER["order"], 1, split="test"), [0])
    right = {name: 0 for name in names}
    for label, prediction in zip(test.labels, test.predictions, strict=True):
        right[names[label]] += int(label == prediction)
    for each in evaluate_tasks(agent.policy, env_of(six, [2, 0, 5, 3, 1, 4], 3, split="test"), [0, 1]):
        for label in set(each.labels.tolist()):
            here = each.labels == label
            assert right[agent.class_names[label]] == int((each.predictions[here] == label).sum())


def test_all_that_is_kept_for_an_action_moves(six: ImageDataset, tmp_path: Path) -> None:
    order, other = [0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 2, 4]
    columns = [other.index(label) for label in order]
    for name, tensors in (
        ("ncm", {"sums": 0, "counts": 0}),
        ("ranpac", {"correlation": 1, "solution": 1}),
        ("der++", {"rewards": 1, "old_logits": 1}),
    ):
        agent = learn(AGENTS[name](env_of(six, order, 3), **ALIKE), range(2))
        kept = {tensor: getattr(agent.policy.method, tensor).clone() for tensor in tensors}
        agent.set_env(env_of(six, other, 3), match_classes=True)
        for tensor, dim in tensors.items():
            moved = getattr(agent.policy.method, tensor)
            assert torch.equal(moved.index_select(dim, torch.tensor(columns)), kept[tensor]), tensor
    bandit = learn(AGENTS["linear"](env_of(six, order, 3), **ALIKE), range(2))
    inverse = bandit._arms.inverse.clone()
    bandit.set_env(env_of(six, other, 3), match_classes=True)
    assert torch.equal(bandit._arms.inverse[columns], inverse)
    assert bandit._current_task["classes"] == sorted(columns[action] for action in (2, 3))


def test_a_new_action_pays_what_most_others_pay(six: ImageDataset, eight: ImageDataset) -> None:
    """With R = 2 I - 1 a class that an old image's environment did not have is as wrong as the others."""
    agent = AGENTS["replay"](env_of(six, list(range(6)), 3, reward_matrix=2 * np.eye(6) - 1), **ALIKE)
    learn(agent, range(1), 16)
    agent.set_env(env_of(eight, list(range(8)), 4), match_classes=True)
    assert set(agent.policy.method.rewards[:16, 6:].flatten().tolist()) == {-1.0}


def test_the_checkpoint_names_the_classes_without_an_environment(six: ImageDataset, tmp_path: Path) -> None:
    env = env_of(six, [5, 4, 3, 2, 1, 0], 3)
    agent = EPG("ViTPolicy", env, "ce", **ALIKE)
    assert agent.class_names == env.unwrapped.action_names == six.class_names[::-1]
    agent.learn(8).save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", device="cpu")
    assert loaded.class_names == six.class_names[::-1]
    assert loaded.stream_fingerprint == env.unwrapped.stream_fingerprint and loaded.images_sha256 == six.images_sha256
    with zipfile.ZipFile(tmp_path / "agent.zip") as archive:
        saved = json.loads(archive.read("model.json"))
    assert saved["class_names"] == list(loaded.class_names) and saved["images_sha256"] == six.images_sha256


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (
            [1, 0, 2, 3, 4, 5],
            "action 0 is {1!r} in the environment and {0!r} in the agent, "
            "action 1 is {0!r} in the environment and # in the agent; give",
        ),
        (
            [5, 4, 3, 2, 1, 0],
            "action 0 is # in the environment and # in the agent, action 1 is # in the agent, ...; give",
        ),
    ],
)
def test_another_order_is_refused_with_what_differs(
    order: list[int], message: str, six: ImageDataset, tmp_path: Path
) -> None:
    agent = EPG("ViTPolicy", env_of(six, list(range(6)), 3), "ce", **ALIKE).learn(8)
    agent.save(tmp_path / "agent")
    wanted = re.escape(message.format(*six.class_names)).replace("#", "'.*'")
    for act in (
        lambda: agent.set_env(env_of(six, order, 3)),
        lambda: EPG.load(tmp_path / "agent", env_of(six, order, 3), device="cpu"),
    ):
        with pytest.raises(ValueError, match=wanted):
            act()
    agent.learn(8)  # on the environment that it still has
    agent.get_env().venv = env_of(six, order, 3)  # behind its back
    with pytest.raises(ValueError, match="classes of the environment and of the agent differ"):
        agent.learn(8)


def test_missing_and_further_classes_are_named(six: ImageDataset, eight: ImageDataset) -> None:
    names = six.class_names
    agent = EPG("ViTPolicy", env_of(eight, list(range(8)), 4), "ce", **ALIKE).learn(8)
    with pytest.raises(
        ValueError, match=f"lacks {re.escape(repr(eight.class_names[6]))}, .*; the environment has 6 actions"
    ):
        agent.set_env(env_of(six, list(range(6)), 3))
    fewer = EPG("ViTPolicy", env_of(six, list(range(6)), 3), "ce", **ALIKE).learn(8)
    with pytest.raises(ValueError, match=f"adds {re.escape(repr(eight.class_names[6]))}.*match_classes=True"):
        fewer.set_env(env_of(eight, [1, 0, 2, 3, 4, 5, 6, 7], 4))
    agent.get_env().set_options({"task": 3})
    agent.learn(8)  # classes 6 and 7 are seen now
    with pytest.raises(ValueError, match=f"lacks classes that .*: {re.escape(repr(eight.class_names[6]))}"):
        agent.set_env(env_of(six, list(range(6)), 3), match_classes=True)
    assert agent.action_space.n == 8 and agent.class_names == eight.class_names and names == fewer.class_names


def test_an_environment_may_have_further_classes_after_the_agents(
    six: ImageDataset, eight: ImageDataset, tmp_path: Path
) -> None:
    agent = learn(EPG("ViTPolicy", env_of(six, list(range(6)), 3), "ce", **ALIKE), range(2))
    agent.save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", env_of(eight, list(range(8)), 4), device="cpu")
    assert loaded.class_names == eight.class_names and loaded.action_space.n == 8
    images = np.ascontiguousarray(six.test_images)
    assert torch.equal(scores(loaded, images)[:, :6], scores(agent, images))
    learn(loaded, range(3, 4))
    assert sorted(loaded.policy.seen_classes.tolist()) == [0, 1, 2, 3, 6, 7]
    with pytest.raises(ValueError, match=r"differ.*match_classes=True"):
        EPG.load(tmp_path / "agent", env_of(eight, [6, 0, 1, 2, 3, 4, 5, 7], 4), device="cpu")


def test_unseen_classes_may_be_missing(six: ImageDataset, eight: ImageDataset) -> None:
    agent = EPG("ViTPolicy", env_of(eight, [6, 0, 1, 2, 3, 4, 5, 7], 8), "ce", **ALIKE)
    agent.get_env().set_options({"task": 2})
    agent.learn(16)
    agent.set_env(env_of(six, list(range(6)), 3), match_classes=True)
    assert agent.policy.network.head.actions.tolist() == [1]
    learn(agent, range(2), 16)


def test_nothing_is_refused_where_nothing_is_learned(six: ImageDataset) -> None:
    agent = EPG("ViTPolicy", env_of(six, list(range(6)), 3), "ce", **ALIKE)
    agent.set_env(env_of(six, [5, 4, 3, 2, 1, 0], 3))
    assert agent.class_names == six.class_names[::-1]
    agent.learn(8)


def test_names_that_stand_for_two_actions_are_not_matched() -> None:
    with pytest.raises(ValueError, match="needs unique class names; these occur twice: 'abstain'"):
        new_positions(["abstain", "a", "abstain"], ["a", "b"], [])
    assert new_positions(["a", "b"], ["b", "c", "a"], [0, 1]).tolist() == [2, 0]


def test_moving_by_hand() -> None:
    moved = move_actions(torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([1, -1, 3]), 4, dim=1, fill=9)
    assert moved.tolist() == [[9, 1, 9, 3], [9, 4, 9, 6]]


def older(file: Path, *entries: str) -> Path:
    """A checkpoint as a version before these entries saved it."""
    target = file.with_name("older.zip")
    with zipfile.ZipFile(file) as reader, zipfile.ZipFile(target, "w") as writer:
        for name in reader.namelist():
            content = reader.read(name)
            if name == "model.json":
                saved = json.loads(content)
                for entry in entries:
                    del saved[entry]
                for entry in ("stream_fingerprint", "images_sha256"):
                    del saved["current_task"][entry]
                content = json.dumps(saved).encode()
            writer.writestr(name, content)
    return target


def test_checkpoints_of_before_load_and_learn_the_names(six: ImageDataset, tmp_path: Path) -> None:
    agent = EPG("ViTPolicy", env_of(six, list(range(6)), 3), "ce", **ALIKE).learn(8)
    agent.save(tmp_path / "agent")
    file = older(tmp_path / "agent.zip", "class_names", "stream_fingerprint", "images_sha256", "policy_class")
    loaded = EPG.load(file, env_of(six, list(range(6)), 3), device="cpu")
    assert loaded.class_names is None
    with pytest.raises(ValueError, match="needs the names of classes, and the agent has none"):
        loaded.set_env(env_of(six, list(range(6)), 3), match_classes=True)
    loaded.learn(8)
    assert loaded.policy.network.tasks_begun == 1 and loaded.class_names == six.class_names
    with pytest.raises(ValueError, match="classes of the environment and of the agent differ"):
        loaded.set_env(env_of(six, [1, 0, 2, 3, 4, 5], 3))


def test_tests_on_another_order_are_refused(six: ImageDataset, tmp_path: Path) -> None:
    EPG("ViTPolicy", env_of(six, list(range(6)), 3), "ce", **ALIKE).learn(8).save(tmp_path / "agent")
    policy = EPG.load(tmp_path / "agent", device="cpu").policy
    evaluate_tasks(policy, env_of(six, list(range(6)), 3, split="test"), [0])
    with pytest.raises(ValueError, match=r"classes of the environment and of the agent differ.*test on the classes"):
        evaluate_tasks(policy, env_of(six, [1, 0, 2, 3, 4, 5], 3, split="test"), [0])

"""Reward models: matrices of costs and of trees, noise, abstention, and what feedback tells of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from cls_env import ClassIncrementalEnv, ClassIncrementalVectorEnv, TaskStream
from cls_env.envs.rendering import Answer, render_frame
from cls_env.rewards.matrices import cost_sensitive_rewards, hierarchical_rewards, zero_one_rewards
from cls_env.rewards.model import RewardModel
from cls_env.rewards.noise import REWARD_NOISES, make_reward_noise

MakeVec = Callable[..., gym.vector.VectorEnv]
NOISES = ["gaussian:deviation=0.5", "flip:probability=0.3"]


@pytest.mark.parametrize("seed", range(5))
def test_tree_rewards_are_wu_and_palmers_similarity(seed: int) -> None:
    random = np.random.default_rng(seed)
    paths = list({tuple(random.choice(["a", "b"], size=random.integers(1, 6))) for _ in range(12)})
    paths = [tuple(map(str, path)) for path in paths]
    rewards = hierarchical_rewards(paths)
    for one, row in zip(paths, rewards, strict=True):
        for other, value in zip(paths, row, strict=True):
            common = sum(one[: depth + 1] == other[: depth + 1] for depth in range(min(len(one), len(other))))
            assert value == np.float32(2 * common / (len(one) + len(other)))
    assert np.array_equal(rewards, rewards.T) and rewards.dtype == np.float32
    assert ((rewards == 1) == np.eye(len(paths), dtype=bool)).all() and rewards.min() >= 0


def test_words_count_from_the_root_alone() -> None:
    assert hierarchical_rewards([("x", "same"), ("y", "same")])[0, 1] == 0
    assert hierarchical_rewards([["a"], ["a", "b"], ["a", "b", "c"]])[0].tolist() == pytest.approx([1, 2 / 3, 1 / 2])


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["alpha"], r"from the root, as \('Greek', 'alpha'\), not 'alpha'"),
        ([("a",), ()], r"not \(\)"),
        ([("a", 1)], r"not \('a', 1\)"),
        ([("a", "")], "sequence of words"),
        ([("a", "b"), ("c",), ("a", "b")], r"two classes have the path \('a', 'b'\)"),
    ],
)
def test_paths_that_are_none_are_refused(paths: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hierarchical_rewards(paths)


def test_costs_become_rewards() -> None:
    assert cost_sensitive_rewards([[0, 2], [3, 0]]).tolist() == [[0, -2], [-3, 0]]
    rewards = cost_sensitive_rewards([1, 0, 2.5])
    assert rewards.tolist() == [[0, -1, -1], [0, 0, 0], [-2.5, -2.5, 0]]
    assert rewards.dtype == np.float32 and not np.signbit(np.diagonal(rewards)).any()


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        (3, r"of shape \(K, K\), or \(K,\) .* not \(\)"),
        ([], "shape"),
        (np.zeros((2, 3)), r"not \(2, 3\)"),
        ([1, -1], "not negative"),
        ([1, np.inf], "finite"),
        ([1, np.nan], "finite"),
        (np.ones((2, 2)), r"costs\[k, k\] is the cost of a right answer and must be 0"),
    ],
)
def test_costs_that_are_none_are_refused(costs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cost_sensitive_rewards(costs)


def test_function_is_called_with_the_classes_in_order_of_arrival(stream: TaskStream) -> None:
    seen: list[tuple[str, ...]] = []

    def rewards_of(names: tuple[str, ...]) -> np.ndarray:
        seen.append(names)
        return hierarchical_rewards([(name[-1], name) for name in names])

    env = ClassIncrementalEnv(stream, reward_matrix=rewards_of)
    info = env.reset(seed=0)[1]
    assert seen == [stream.class_names] and isinstance(seen[0], tuple)
    assert info["action_rewards"].tolist() == rewards_of(stream.class_names)[info["label"]].tolist()
    with pytest.raises(ValueError, match=r"of shape \(6, 6\), not \(5, 5\)"):
        ClassIncrementalEnv(stream, reward_matrix=lambda names: np.eye(len(names) - 1))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("more", [{}, {"abstain_reward": 0.25}, {"task_schedule": 7, "task_blur": 1.0}])
def test_reward_paid_is_the_one_shown_and_the_images_stay_the_same(
    make_vec: MakeVec, noise: str, more: dict[str, Any]
) -> None:
    plain, noisy = make_vec(5, **more), make_vec(5, reward_noise=noise, **more)
    images, before = plain.reset(seed=3)
    noisy_images, info = noisy.reset(seed=3)
    differs = False
    for step in range(20):
        assert np.array_equal(images, noisy_images) and np.array_equal(before["image_index"], info["image_index"])
        assert info["action_rewards"].dtype == np.float32
        differs |= not np.array_equal(before["action_rewards"], info["action_rewards"])
        actions = np.random.default_rng(step).integers(noisy.single_action_space.n, size=5)
        shown = info["action_rewards"]
        images, *_, before = plain.step(actions)
        noisy_images, rewards, *_, info = noisy.step(actions)
        assert np.array_equal(rewards, shown[np.arange(5), actions].astype(np.float64))
        assert np.array_equal(info["final_info"]["action_rewards"], shown)
    assert differs


@pytest.mark.parametrize("noise", NOISES)
def test_noise_is_seeded_and_does_not_hang_on_the_number_of_environments(make_vec: MakeVec, noise: str) -> None:
    def rewards(num_envs: int, seed: int) -> np.ndarray:
        env = make_vec(num_envs, reward_noise=noise)
        infos = [env.reset(seed=seed)[1]]
        infos += [env.step(np.zeros(num_envs, dtype=np.int64))[4] for _ in range(24 // num_envs - 1)]
        return np.concatenate([info["action_rewards"] for info in infos])

    assert np.array_equal(rewards(1, 4), rewards(8, 4))
    env = make_vec(24, reward_noise=noise)
    first, second = env.reset(seed=4)[1], env.reset(seed=4)[1]
    assert np.array_equal(first["action_rewards"], second["action_rewards"])
    assert not np.array_equal(rewards(8, 4), rewards(8, 5))


def test_gaussian_noise_has_its_deviation_and_no_bias() -> None:
    model = RewardModel("abc", reward_noise="gaussian:deviation=0.5")
    labels = np.arange(30_000) % 3
    added = model.draw(labels, np.random.default_rng(0)) - zero_one_rewards(3)[labels]
    assert abs(added.mean()) < 0.01 and abs(added.std() - 0.5) < 0.01
    assert abs(np.corrcoef(added.T) - np.eye(3)).max() < 0.03  # each action has noise of its own


def test_flip_goes_to_the_other_end_of_the_range_with_its_probability() -> None:
    matrix = np.array([[2.0, 0.5, -1.0], [0.0, 2.0, 0.0], [1.0, 1.0, 1.0]])
    model = RewardModel("abc", matrix, reward_noise="flip:probability=0.2")
    labels = np.arange(30_000) % 3
    drawn, expected = model.draw(labels, np.random.default_rng(0)), matrix.astype(np.float32)[labels]
    flipped = drawn != expected
    assert np.array_equal(drawn[flipped], (1 - expected)[flipped])  # 2 - 1 - r; only r = 0.5 is its own mirror image
    assert abs(flipped[:, [0, 2]].mean() - 0.2) < 0.01


def test_noise_of_no_size_changes_nothing(stream: TaskStream) -> None:
    for noise in ("gaussian:deviation=0", "flip:probability=0"):
        info = ClassIncrementalEnv(stream, reward_noise=noise).reset(seed=0)[1]
        assert info["action_rewards"].tolist() == np.eye(6)[info["label"]].tolist()


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        ("gausian", "unknown reward noise 'gausian'; did you mean 'gaussian'"),
        ("gaussian:scale=1", "unknown argument of reward noise 'gaussian' 'scale'"),
        ("gaussian:low=1", "unknown argument"),
        ("gaussian:deviation=-1", r"deviation must be in \[0, 1e\+36\], not -1"),
        ("gaussian:deviation=NaN", r"deviation must be in \[0, 1e"),
        ("gaussian:deviation=wide", "deviation .* must be a number, not 'wide'"),
        ("flip:probability=1.5", r"reward noise 'flip:probability=1.5': probability must be in \[0, 1\], not 1.5"),
        ("flip:", "name:key=value"),
        (0.1, "expected text, 'name'"),
    ],
)
def test_noise_that_is_none_is_refused(stream: TaskStream, noise: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassIncrementalEnv(stream, reward_noise=noise)


def test_noise_of_ones_own_has_a_name_once_it_is_in_the_table(
    stream: TaskStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REWARD_NOISES, "constant", lambda rewards, low, high, generator, value=7.0: 0 * rewards + value)
    assert make_reward_noise("constant:value=2")(np.zeros((1, 2)), 0, 1, np.random.default_rng()).tolist() == [[2, 2]]
    env = ClassIncrementalEnv(stream, reward_noise="constant", abstain_reward=0.5)
    assert env.reset(seed=0)[1]["action_rewards"].tolist() == [7] * 6 + [0.5]  # abstaining is certain


@pytest.mark.parametrize("arguments", [{}, {"task_schedule": 4, "task_blur": 1.0}, {"split": "test"}])
def test_abstaining_is_one_more_action(stream: TaskStream, arguments: dict[str, Any]) -> None:
    env = ClassIncrementalEnv(stream, abstain_reward=0.25, **arguments)
    assert env.action_space == gym.spaces.Discrete(7)
    for _ in range(10):
        info = env.reset()[1]
        assert info["action_mask"].shape == (7,) and info["action_mask"][6] == 1
        assert np.flatnonzero(info["action_mask"][:6]).tolist() == stream.tasks[info["task"]].classes.tolist()
        assert info["action_rewards"].tolist() == [*np.eye(6)[info["label"]], 0.25]
        _, reward, *_, after = env.step(6)
        assert reward == 0.25
        assert after["is_success"] is False and after["outcome"]["is_success"] is False
        assert after["outcome"]["action"] == 6
        info = env.reset()[1]
        assert env.step(info["label"])[4]["is_success"] is True


def test_abstaining_in_a_vector_env(make_vec: MakeVec) -> None:
    env = make_vec(4, abstain_reward=-0.5, reward_matrix=2 * np.eye(6))
    _, info = env.reset(seed=0)
    actions = np.where(np.arange(4) % 2, 6, info["label"])
    _, rewards, *_, info = env.step(actions)
    assert rewards.tolist() == [2, -0.5, 2, -0.5]
    assert info["final_info"]["is_success"].tolist() == [True, False, True, False]
    with pytest.raises(gym.error.InvalidAction, match=r"0 \.\.\. 6"):
        env.step(np.full(4, 7))


def test_frame_names_the_choice_to_abstain(stream: TaskStream) -> None:
    env = ClassIncrementalEnv(stream, abstain_reward=0.0, render_mode="rgb_array")
    image, info = env.reset(seed=0)
    env.step(6)
    answer = Answer("abstain", right=False, true=stream.class_names[info["label"]].partition(" ")[2])
    assert np.array_equal(env.render(), render_frame(image, 2, answer))


@pytest.mark.parametrize("value", [np.inf, np.nan, "0.5", True, [0.5]])
def test_abstention_needs_a_finite_number(stream: TaskStream, value: Any) -> None:
    with pytest.raises(ValueError, match=r"abstain_reward must be a .*number.*, not "):
        ClassIncrementalEnv(stream, abstain_reward=value)


def test_invalid_action_names_the_range_with_abstention(stream: TaskStream) -> None:
    env = ClassIncrementalEnv(stream, abstain_reward=0.5)
    env.reset(seed=0)
    with pytest.raises(gym.error.InvalidAction, match=r"integer in 0 \.\.\. 6"):
        env.step(7)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, True),
        ({"abstain_reward": 0.5}, True),
        ({"reward_matrix": np.eye(6)}, False),
        ({"reward_noise": "gaussian"}, False),
        ({"reward_noise": "flip", "abstain_reward": 0.5}, False),
    ],
)
def test_bandit_feedback_tells_success_only_where_the_reward_does(
    stream: TaskStream, arguments: dict[str, Any], told: bool
) -> None:
    for env in (ClassIncrementalEnv, lambda *args, **more: ClassIncrementalVectorEnv(2, *args, **more)):
        bandit = env(stream, feedback="bandit", **arguments)
        bandit.reset(seed=0)
        info = bandit.step(np.zeros(2, dtype=np.int64) if hasattr(bandit, "num_envs") else 0)[4]
        finished = info.get("final_info", info)
        assert ("is_success" in finished, "is_success" in finished["outcome"]) == (told, told)
        assert not {"label", "action_rewards", "image_index"} & (set(finished) | set(finished["outcome"]))
    full = ClassIncrementalEnv(stream, **arguments)
    full.reset(seed=0)
    assert "is_success" in full.step(0)[4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"abstain_reward": 1e39}, r"abstain_reward must be a finite number of at most 3\.4e\+38 in size, not 1e\+39"),
        ({"reward_noise": "gaussian:deviation=1e39"}, r"deviation must be in \[0"),
        ({"reward_matrix": np.eye(6) * 1e39}, r"reward_matrix must hold finite numbers of at most 3\.4e\+38"),
        ({"reward_matrix": np.eye(6) * 1j}, "reward_matrix must hold real numbers"),
        ({"reward_matrix": np.eye(6).astype(str)}, "reward_matrix must hold real numbers"),
        ({"reward_matrix": [[1], [1, 2]]}, "reward_matrix must be a regular array of numbers"),
        ({"reward_matrix": np.ma.masked_array(np.eye(6), np.eye(6))}, "reward_matrix must hold real numbers"),
        ({"reward_matrix": lambda names: 1 / 0}, "reward_matrix, a function of the class names, failed: ZeroDivision"),
    ],
)
def test_rewards_beyond_float32_and_other_than_numbers_are_refused(
    stream: TaskStream, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ClassIncrementalEnv(stream, **arguments)


@pytest.mark.parametrize("costs", [[1e39, 1], ["1", "2"], [1j, 2], [1, -1]])
def test_costs_beyond_float32_and_other_than_numbers_are_refused(costs: Any) -> None:
    with pytest.raises(ValueError, match="costs must"):
        cost_sensitive_rewards(costs)

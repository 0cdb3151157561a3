"""Regret, what feedback tells of it, and the masks where sb3-contrib looks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from cls_env import ClassIncrementalEnv, ClassIncrementalVectorEnv, TaskStream

MakeVec = Callable[..., gym.vector.VectorEnv]
MATRIX = np.random.default_rng(0).normal(size=(6, 6))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"reward_matrix": MATRIX},
        {"reward_matrix": MATRIX, "abstain_reward": 0.5, "reward_noise": "gaussian:deviation=3"},
        {"reward_noise": "flip:probability=0.5"},
        {"abstain_reward": 1.5},
    ],
)
def test_regret_is_what_the_best_action_would_have_been_expected_to_pay_more(
    stream: TaskStream, make_vec: MakeVec, arguments: dict[str, Any]
) -> None:
    expected = np.asarray(arguments.get("reward_matrix", np.eye(6)), dtype=np.float32)
    if "abstain_reward" in arguments:
        expected = np.c_[expected, np.full(6, np.float32(arguments["abstain_reward"]))]
    env = make_vec(8, **arguments)
    info = env.reset(seed=0)[1]
    total = 0.0
    for _ in range(12):
        labels, actions = info["label"], env.action_space.sample()
        info = env.step(actions)[4]
        regret = info["final_info"]["outcome"]["regret"]
        assert regret.dtype == np.float32 and regret.min() >= 0
        assert np.array_equal(regret, expected[labels].max(axis=1) - expected[labels, actions])
        total += regret.sum(dtype=np.float64)
    assert env.total_regret == total > 0 and env.num_episodes == 96
    single = ClassIncrementalEnv(stream, **arguments)
    label = single.reset(seed=0)[1]["label"]
    outcome = single.step(3)[4]["outcome"]
    assert outcome["regret"] == expected[label].max() - expected[label, 3]
    assert isinstance(outcome["regret"], np.float32)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, True),
        ({"reward_matrix": MATRIX}, False),
        ({"reward_noise": "gaussian"}, False),
        ({"abstain_reward": 0.5}, False),
    ],
)
def test_bandit_feedback_withholds_it_where_the_reward_tells_less_and_the_experimenter_has_it(
    stream: TaskStream, arguments: dict[str, Any], told: bool
) -> None:
    regrets = []
    for feedback in ("bandit", "full"):
        env = ClassIncrementalEnv(stream, feedback=feedback, **arguments)
        outcomes = []
        env.reset(seed=0)
        for action in range(20):
            outcomes.append(env.step(action % 2)[4]["outcome"])
            env.reset()
        assert ("regret" in outcomes[0]) == (told or feedback == "full")
        regrets.append(env.total_regret)
    assert regrets[0] == regrets[1] == sum(float(outcome["regret"]) for outcome in outcomes) > 0
    assert isinstance(env.total_regret, float) and env.num_episodes == 20


def test_totals_go_on_over_resets_and_can_not_be_set(stream: TaskStream) -> None:
    env = ClassIncrementalEnv(stream)
    for seed in range(3):
        label = env.reset(seed=seed)[1]["label"]
        env.step((label + 1) % 6)
        env.reset(options={"task": seed})
    assert (env.total_regret, env.num_episodes) == (3.0, 3)
    with pytest.raises(AttributeError):
        env.total_regret = 0.0
    with pytest.raises(AttributeError):
        ClassIncrementalVectorEnv(2, stream).num_episodes = 0
    made = gym.make("cls_env/ClassIncremental-v0", dataset=stream)
    assert made.get_wrapper_attr("num_episodes") == made.unwrapped.num_episodes == 0


@pytest.mark.parametrize(
    "arguments",
    [{}, {"task": [0, 2]}, {"abstain_reward": 0.5, "feedback": "bandit"}, {"task_schedule": 3, "task_blur": 1.0}],
)
def test_action_masks_are_those_of_the_images_on_display(
    stream: TaskStream, make_vec: MakeVec, arguments: dict[str, Any]
) -> None:
    single = gym.make("cls_env/ClassIncremental-v0", dataset=stream, **arguments)
    masks_of = single.get_wrapper_attr("action_masks")
    info, env = single.reset(seed=0)[1], make_vec(4, **arguments)
    infos = env.reset(seed=0)[1]
    for _ in range(6):
        assert masks_of().dtype == env.action_masks().dtype == np.bool_
        assert np.array_equal(masks_of(), info["action_mask"])
        assert np.array_equal(env.action_masks(), infos["action_mask"])
        assert env.action_masks().shape == (4, env.single_action_space.n)
        single.step(0)
        info, infos = single.reset()[1], env.step(np.zeros(4, dtype=np.int64))[4]
    single.action_space.seed(0)
    assert info["action_mask"][single.action_space.sample(mask=masks_of().astype(np.int8))] == 1


def test_masks_before_reset_are_refused(stream: TaskStream, make_vec: MakeVec) -> None:
    for env in (ClassIncrementalEnv(stream), make_vec(2)):
        with pytest.raises(ResetNeeded, match=r"call reset\(\) before action_masks\(\)"):
            env.action_masks()


def test_masked_ppo_of_sb3_contrib_chooses_within_the_task(stream: TaskStream) -> None:
    contrib = pytest.importorskip("sb3_contrib")
    from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported

    env = gym.make("cls_env/ClassIncremental-v0", dataset=stream, task=1)
    flat = gym.wrappers.FlattenObservation(env)
    assert is_masking_supported(flat)
    agent = contrib.MaskablePPO("MlpPolicy", flat, n_steps=16, batch_size=16, n_epochs=1, seed=0, device="cpu")
    agent.learn(16)
    image, _ = flat.reset(seed=0)
    chosen = {int(agent.predict(image, action_masks=get_action_masks(flat))[0]) for _ in range(40)}
    assert chosen == set(stream.tasks[1].classes.tolist())

from __future__ import annotations

import pickle
from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from cls_env import ClassIncrementalVectorEnv, TaskStream

MakeVec = Callable[..., gym.vector.VectorEnv]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"split": "test", "task": 1},
        {"feedback": "bandit"},
        {"reward_noise": "gaussian", "abstain_reward": 0.5},
        {"task_schedule": 9},
        {"task_schedule": [4, 7, 5], "task_blur": 0.8, "reward_noise": "flip"},
    ],
)
def test_one_native_env_equals_gymnasiums_sync_vector_env(
    stream: TaskStream, make_vec: MakeVec, arguments: dict[str, object]
) -> None:
    native = make_vec(1, **arguments)
    reference = SyncVectorEnv(
        [lambda: gym.make("cls_env/ClassIncremental-v0", dataset=stream, **arguments)],
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    for options in (None, {"task": 2}) if "task_schedule" not in arguments else (None, {}):
        assert data_equivalence(native.reset(seed=7, options=options), reference.reset(seed=7, options=options))
        for action in range(30):
            actions = np.array([action % 6])
            for ours, theirs in zip(native.step(actions), reference.step(actions), strict=True):
                assert data_equivalence(ours, theirs)


def test_envs_share_one_pass(stream: TaskStream, make_vec: MakeVec) -> None:
    env = make_vec(8)
    _, info = env.reset(seed=0)
    rows = list(info["image_index"])
    for _ in range(2):
        rows += list(env.step(np.zeros(8, dtype=np.int64))[4]["image_index"])
    assert sorted(rows) == sorted(stream.tasks[0].train_indices)


def test_batches_run_over_the_end_of_a_pass(make_vec: MakeVec) -> None:
    env = make_vec(20, split="test")
    _, info = env.reset()
    assert info["epoch_length"].tolist() == [10] * 20
    assert info["image_index"][:10].tolist() == info["image_index"][10:].tolist()


def test_reset_in_the_step_is_declared(make_vec: MakeVec) -> None:
    assert make_vec().metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


def test_seeded_rollouts_agree(make_vec: MakeVec) -> None:
    actions = np.random.default_rng(0).integers(6, size=(10, 8))

    def rollout() -> list[object]:
        env = make_vec()
        return [env.reset(seed=3), *(env.step(row) for row in actions)]

    assert all(data_equivalence(a, b) for a, b in zip(rollout(), rollout(), strict=True))


def test_finished_episodes_are_under_their_own_keys(make_vec: MakeVec) -> None:
    env = make_vec()
    images, before = env.reset(seed=0)
    _, rewards, terminated, truncated, info = env.step(before["label"])
    assert rewards.tolist() == [1.0] * 8 and terminated.all() and not truncated.any()
    assert np.array_equal(info["final_info"]["label"], before["label"])
    assert info["final_info"]["is_success"].all()
    assert all(np.array_equal(a, b) for a, b in zip(info["final_obs"], images, strict=True))


def test_episode_statistics_of_gymnasium_count(make_vec: MakeVec) -> None:
    env = RecordEpisodeStatistics(make_vec())
    _, info = env.reset(seed=0)
    *_, info = env.step(info["label"])
    assert info["episode"]["r"].tolist() == [1.0] * 8


def test_sequence_of_seeds_is_taken(make_vec: MakeVec) -> None:
    env = make_vec()
    assert data_equivalence(env.reset(seed=[4, 5, 6]), env.reset(seed=4))


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros(7, dtype=np.int64), "8 integers"),
        (np.zeros(8), "8 integers"),
        (np.full(8, 6), r"0 \.\.\. 5"),
        (np.full(8, -1), r"0 \.\.\. 5"),
    ],
)
def test_wrong_actions_are_refused(make_vec: MakeVec, actions: np.ndarray, message: str) -> None:
    env = make_vec()
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match=message):
        env.step(actions)


def test_labels_of_the_user_are_copies(make_vec: MakeVec) -> None:
    env = make_vec()
    _, info = env.reset(seed=0)
    labels = info["label"].copy()
    info["label"][:] = 0
    assert env.step(labels)[1].tolist() == [1.0] * 8


def test_step_before_reset_and_no_envs_are_refused(make_vec: MakeVec, stream: TaskStream) -> None:
    with pytest.raises(ResetNeeded):
        make_vec().step(np.zeros(8, dtype=np.int64))
    with pytest.raises(ValueError, match="num_envs"):
        ClassIncrementalVectorEnv(0, stream)


def test_render_gives_a_frame_for_each(make_vec: MakeVec) -> None:
    env = make_vec(3, render_mode="rgb_array")
    env.reset(seed=0)
    assert [frame.shape for frame in env.render()] == [(336, 256, 3)] * 3


def test_pickle_keeps_the_environment(make_vec: MakeVec) -> None:
    env = ClassIncrementalVectorEnv(4, "glyphs", num_tasks=2, dataset_options={"num_classes": 4})
    assert data_equivalence(env.reset(seed=1), pickle.loads(pickle.dumps(env)).reset(seed=1))


def test_images_that_are_kept_stay_as_they_were(stream: TaskStream) -> None:
    env = ClassIncrementalVectorEnv(5, stream)
    shown = [env.reset(seed=0)[0]]
    actions = np.zeros(5, dtype=np.int64)
    views = [shown[0][2]]
    for step in range(30):
        images, *_ = env.step(actions)
        if step % 3 == 0:  # some batches are let go, some kept whole, of some only a view
            shown.append(images)
        elif step % 3 == 1:
            views.append(images[2])
        del images
    again = ClassIncrementalVectorEnv(5, stream)
    every = [again.reset(seed=0)[0].copy(), *(again.step(actions)[0].copy() for _ in range(30))]
    assert all(np.array_equal(*pair) for pair in zip(shown, [every[0], *every[1::3]], strict=True))
    assert all(
        np.array_equal(*pair) for pair in zip(views, [batch[2] for batch in [every[0], *every[2::3]]], strict=True)
    )

"""Task schedules: the maths, and what the environments show and tell under one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cls_env import ClassIncrementalEnv, ClassIncrementalVectorEnv, ImageDataset, TaskStream
from cls_env.tasks.schedule import TaskSchedule, make_schedule

UNEVEN = (7, 20, 4, 11)


def shown(stream: TaskStream, num_envs: int, episodes: int, seed: int = 0, **arguments: Any) -> dict[str, np.ndarray]:
    """The infos of the first episodes of a vector env, a row for each."""
    env = ClassIncrementalVectorEnv(num_envs, stream, **arguments)
    infos = [env.reset(seed=seed)[1]]
    for _ in range(-(-episodes // num_envs) - 1):
        infos.append(env.step(np.zeros(num_envs, dtype=np.int64))[4])
    keys = [key for key in infos[0] if not key.startswith("_")]
    return {key: np.concatenate([info[key] for info in infos])[:episodes] for key in keys}


@pytest.mark.parametrize("blur", [0.0, 0.3, 1.0])
def test_expected_number_of_episodes_of_each_task_is_the_one_given(blur: float) -> None:
    position = TaskSchedule(UNEVEN, blur).position(np.arange(sum(UNEVEN)))
    assert position.min() == 0 and position.max() == 3 and (np.diff(position) >= 0).all()
    shares = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(4)))
    assert np.allclose(shares.sum(axis=0), UNEVEN)


def test_probability_rises_on_a_line_in_a_centred_window_of_the_stated_width() -> None:
    schedule = TaskSchedule((20, 10), blur=0.8)  # 8 episodes wide, from 16 to 24
    position = schedule.position(np.arange(40))
    assert position[:16].tolist() == [0.0] * 16 and position[24:].tolist() == [1.0] * 16
    assert np.allclose(position[16:24], (np.arange(8) + 0.5) / 8)
    assert schedule.task_mask(np.array([15, 16, 23, 24])).tolist() == [[1, 0], [1, 1], [1, 1], [0, 1]]


@pytest.mark.parametrize("blur", [0.0, 0.5, 1.0])
def test_tasks_drawn_follow_the_probabilities_and_stay_within_the_mask(blur: float) -> None:
    schedule, episodes = TaskSchedule(UNEVEN, blur), np.arange(60)
    drawn = np.array([schedule.tasks_at(episodes, np.random.default_rng(seed)) for seed in range(2000)])
    assert np.allclose(drawn.mean(axis=0), schedule.position(episodes), atol=0.06)  # 5 standard deviations of a mean
    mask = schedule.task_mask(episodes)
    assert all(set(np.unique(drawn[:, e])) <= set(np.flatnonzero(mask[e])) for e in episodes)
    assert mask.sum(axis=1).max() == (1 if blur == 0 else 2)


@pytest.mark.parametrize("blur", [0.0, 0.5, 1.0])
def test_change_is_where_another_task_becomes_the_most_probable(blur: float) -> None:
    schedule, episodes = TaskSchedule(UNEVEN, blur), np.arange(60)
    most_probable = np.floor(schedule.position(episodes) + 0.5)
    changed = np.concatenate([[False], np.diff(most_probable) != 0])
    assert schedule.task_changed(episodes).tolist() == changed.tolist()
    assert np.flatnonzero(changed).tolist() == [7, 27, 31]


def test_one_number_is_for_every_task() -> None:
    assert make_schedule(5, 0.25, 3) == TaskSchedule((5, 5, 5), 0.25)
    assert make_schedule(np.int64(5), 0, 2) == TaskSchedule((5, 5)) == make_schedule(np.array([5, 5]), 0, 2)
    assert make_schedule((2, 3), 0, 2) == TaskSchedule((2, 3))


@pytest.mark.parametrize(
    ("given", "blur", "message"),
    [
        ([5, 5], 0.0, r"task_schedule=\[5, 5\] has 2 entries for a stream of 3 tasks"),
        ([], 0.0, "has 0 entries"),
        (0, 0.0, "each of task_schedule must be a whole number of at least 1, not 0"),
        ([5, -1, 5], 0.0, "at least 1, not -1"),
        (2.5, 0.0, "whole number of at least 1"),
        (True, 0.0, "whole number of at least 1"),
        ("5", 0.0, "whole number of at least 1"),
        (5, -0.1, r"task_blur must be in \[0, 1\], not -0.1"),
        (5, 1.1, r"task_blur must be in \[0, 1\], not 1.1"),
        (5, float("nan"), "task_blur must be in"),
        (5, "half", "task_blur must be a number, not 'half'"),
    ],
)
def test_impossible_schedules_are_refused(stream: TaskStream, given: Any, blur: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassIncrementalEnv(stream, task_schedule=given, task_blur=blur)


@pytest.mark.parametrize("num_envs", [1, 5, 8])
def test_stream_moves_on_by_itself_and_stays_with_the_last_task(stream: TaskStream, num_envs: int) -> None:
    rows = shown(stream, num_envs, 200, task_schedule=[30, 10, 50])
    assert rows["task"].tolist() == [0] * 30 + [1] * 10 + [2] * 160
    assert np.flatnonzero(rows["task_changed"]).tolist() == [30, 40]
    assert rows["task_changed"].dtype == np.bool_
    assert rows["epoch_length"].tolist() == [24] * 200
    assert np.array_equal(rows["task_mask"], np.eye(3, dtype=np.int8)[rows["task"]])
    for task, mask in zip(rows["task"], rows["action_mask"], strict=True):
        assert np.flatnonzero(mask).tolist() == stream.tasks[task].classes.tolist()


@pytest.mark.parametrize("blur", [0.0, 1.0])
def test_each_task_comes_pass_after_pass_without_replacement(stream: TaskStream, blur: float) -> None:
    rows = shown(stream, 7, 300, task_schedule=60, task_blur=blur)
    for task in stream.tasks:
        own = rows["image_index"][rows["task"] == task.index]
        assert len(own) > 24
        for start in range(0, len(own), 24):
            part = own[start : start + 24].tolist()
            assert len(set(part)) == len(part) and set(part) <= set(task.train_indices.tolist())
        assert own[:24].tolist() != sorted(own[:24].tolist())


def test_in_a_blurred_window_both_tasks_are_announced_and_each_image_has_its_own_action_mask(
    stream: TaskStream,
) -> None:
    rows = shown(stream, 8, 180, task_schedule=60, task_blur=0.5)
    window = (np.arange(180) >= 45) & (np.arange(180) < 75)
    assert (rows["task_mask"][window] == [1, 1, 0]).all() and set(rows["task"][window]) == {0, 1}
    assert (rows["task_mask"][:45] == [1, 0, 0]).all() and (rows["task_mask"][75:105] == [0, 1, 0]).all()
    assert set(rows["epoch_length"][window]) == {48} and set(rows["epoch_length"][:45]) == {24}
    assert (np.diff(rows["task"][window]) < 0).any()  # not a second abrupt boundary
    for task, mask in zip(rows["task"], rows["action_mask"], strict=True):
        assert np.flatnonzero(mask).tolist() == stream.tasks[task].classes.tolist()


@pytest.mark.parametrize("arguments", [{}, {"task_schedule": 40}, {"task_schedule": 40, "task_blur": 0.7}])
def test_images_do_not_hang_on_the_number_of_environments(stream: TaskStream, arguments: dict[str, Any]) -> None:
    one, many = (shown(stream, number, 150, seed=5, **arguments) for number in (1, 32))
    assert all(np.array_equal(one[key], many[key]) for key in one)
    other = shown(stream, 1, 150, seed=6, **arguments)
    assert not np.array_equal(one["image_index"], other["image_index"])


def test_a_seed_starts_again_and_a_plain_reset_goes_on(stream: TaskStream) -> None:
    env = ClassIncrementalEnv(stream, task_schedule=4)
    first = [env.reset(seed=2)[1], *(env.reset()[1] for _ in range(9))]
    assert [info["task"] for info in first] == [0] * 4 + [1] * 4 + [2] * 2
    assert [info["task_changed"] for info in first] == [False] * 4 + [True] + [False] * 3 + [True, False]
    again = [env.reset(seed=2)[1], *(env.reset(options={})[1] for _ in range(9))]
    assert [info["image_index"] for info in again] == [info["image_index"] for info in first]
    env.step(0)
    assert env.reset()[1]["task"] == 2  # steps are no episodes of their own


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task_schedule": 5, "task": 1}, "task=1 and task_schedule can't be combined"),
        ({"task_schedule": 5, "task": [0, 1]}, r"task=\[0, 1\] and task_schedule can't be combined"),
        ({"task_schedule": 5, "split": "test"}, "task_schedule needs split='train', not 'test'"),
        ({"task_blur": 0.5}, "task_blur=0.5 needs a task_schedule"),
    ],
)
def test_what_does_not_go_with_a_schedule_is_refused(
    stream: TaskStream, arguments: dict[str, Any], message: str
) -> None:
    for make in (ClassIncrementalEnv, lambda *args, **more: ClassIncrementalVectorEnv(3, *args, **more)):
        with pytest.raises(ValueError, match=message):
            make(stream, **arguments)


def test_online_streams_and_moves_by_hand_are_refused(glyphs: ImageDataset, stream: TaskStream) -> None:
    with pytest.raises(ValueError, match="scenario 'online' moves to the next task"):
        ClassIncrementalEnv(glyphs, num_tasks=3, scenario="online", task_schedule=5)
    env = ClassIncrementalVectorEnv(2, stream, task_schedule=5)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="task=1 and task_schedule can't be combined: the schedule sets the task"):
        env.reset(options={"task": 1})


def test_domains_follow_a_schedule_too(glyphs: ImageDataset) -> None:
    stream = TaskStream(glyphs, scenario="domain-incremental", domains=["identity", "rotate-180"])
    rows = shown(stream, 4, 20, task_schedule=10)
    assert rows["task"].tolist() == [0] * 10 + [1] * 10 and rows["action_mask"].all()

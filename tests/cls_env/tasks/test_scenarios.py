"""What the environments show and tell in each scenario, alike for the single and the vector one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cls_env import ClassIncrementalEnv, ClassIncrementalVectorEnv, ImageDataset, TaskStream


def rows_of(env: ClassIncrementalVectorEnv, steps: int) -> list[dict[str, Any]]:
    """The infos of a reset and of some steps, a dict for each image."""
    _, info = env.reset(seed=0)
    infos = [info]
    for _ in range(steps):
        infos.append(env.step(np.zeros(env.num_envs, dtype=np.int64))[4])
    keys = ("task", "task_mask", "action_mask", "image_index", "label")
    return [{key: info[key][row] for key in keys} for info in infos for row in range(env.num_envs)]


def test_task_incremental_test_mask_names_the_task(glyphs: ImageDataset) -> None:
    stream = TaskStream(glyphs, 3, scenario="task-incremental")
    for row in rows_of(ClassIncrementalVectorEnv(5, stream, split="test", task=[0, 1, 2]), 5):
        assert np.flatnonzero(row["action_mask"]).tolist() == stream.tasks[row["task"]].classes.tolist()
    for row in rows_of(ClassIncrementalVectorEnv(5, stream, task=[0, 1]), 3):  # in training all of them
        assert row["action_mask"].tolist() == [1, 1, 1, 1, 0, 0]


def test_class_incremental_test_mask_does_not(glyphs: ImageDataset) -> None:
    stream = TaskStream(glyphs, 3)
    for row in rows_of(ClassIncrementalVectorEnv(5, stream, split="test", task=[0, 2]), 5):
        assert row["action_mask"].tolist() == [1, 1, 0, 0, 1, 1] and row["task_mask"].tolist() == [1, 0, 1]


@pytest.mark.parametrize("num_envs", [1, 5, 7])
def test_online_stream_shows_each_image_once_and_goes_on(glyphs: ImageDataset, num_envs: int) -> None:
    stream = TaskStream(glyphs, 3, scenario="online")
    images = len(glyphs.train_images)
    rows = rows_of(ClassIncrementalVectorEnv(num_envs, stream), -(-images // num_envs))[:images]
    assert sorted(row["image_index"] for row in rows) == list(range(images))
    assert [row["task"] for row in rows] == [0] * 24 + [1] * 24 + [2] * 24
    for row in rows:
        assert np.flatnonzero(row["action_mask"]).tolist() == stream.tasks[row["task"]].classes.tolist()


def test_online_stream_begins_again_after_its_last_task(glyphs: ImageDataset) -> None:
    env = ClassIncrementalEnv(glyphs, num_tasks=3, scenario="online", task=2)
    tasks = [env.reset(seed=0)[1]["task"], *(env.reset()[1]["task"] for _ in range(24))]
    assert tasks == [2] * 24 + [0]


def test_online_test_images_come_round_again(glyphs: ImageDataset) -> None:
    rows = rows_of(ClassIncrementalVectorEnv(10, glyphs, num_tasks=3, scenario="online", split="test"), 2)
    assert {row["task"] for row in rows} == {0}


def test_domain_incremental_shows_one_domain_a_task(glyphs: ImageDataset) -> None:
    stream = TaskStream(glyphs, scenario="domain-incremental", domains=["identity", "rotate-180"], seed=3)
    env = ClassIncrementalVectorEnv(8, stream, split="test")
    upright, info = env.reset()
    assert info["action_mask"].all() and info["task"].tolist() == [0] * 8
    turned, later = env.reset(options={"task": 1})
    assert np.array_equal(turned, np.rot90(upright, 2, axes=(1, 2)))
    assert later["task"].tolist() == [1] * 8 and np.array_equal(later["label"], info["label"])
    assert not set(info["image_index"]) & set(later["image_index"])
    assert later["task_mask"][0].tolist() == [0, 1]


def test_validation_images_come_in_order_with_true_labels(glyphs: ImageDataset) -> None:
    stream = TaskStream(glyphs, 3, validation_fraction=0.25, label_noise=0.5)
    rows = rows_of(ClassIncrementalVectorEnv(6, stream, split="validation"), 0)
    assert [row["image_index"] for row in rows] == stream.tasks[0].validation_indices.tolist()
    assert [row["label"] for row in rows] == stream.clean_train_labels[stream.tasks[0].validation_indices].tolist()
    with pytest.raises(ValueError, match="has no validation images; give the stream a validation_fraction"):
        ClassIncrementalVectorEnv(6, glyphs, num_tasks=3, split="validation")


def test_arrays_are_a_dataset(glyphs: ImageDataset) -> None:
    env = ClassIncrementalEnv((glyphs.train_images, glyphs.train_labels), num_tasks=2)
    assert env.stream.dataset.name == "arrays" and env.action_space.n == 6


def test_single_and_vector_env_agree_online(glyphs: ImageDataset) -> None:
    arguments: dict[str, Any] = {"num_tasks": 3, "scenario": "online"}
    single, vector = ClassIncrementalEnv(glyphs, **arguments), ClassIncrementalVectorEnv(1, glyphs, **arguments)
    image, info = single.reset(seed=4)
    images, infos = vector.reset(seed=4)
    for _ in range(80):
        assert np.array_equal(image, images[0]) and info["task"] == infos["task"][0]
        assert np.array_equal(info["action_mask"], infos["action_mask"][0])
        single.step(0)
        image, info = single.reset()
        images, *_, infos = vector.step(np.zeros(1, dtype=np.int64))

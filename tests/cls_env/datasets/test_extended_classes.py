"""Datasets under the numbering of an agent's classes."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from cls_env import ImageDataset, TaskStream, load_dataset
from cls_env.datasets import extend_classes


def test_images_keep_their_names(glyphs: ImageDataset) -> None:
    names = glyphs.class_names
    extended = extend_classes(glyphs, [names[4], "unseen", names[1]])
    assert extended.class_names == (names[4], "unseen", names[1], names[0], names[2], names[3], names[5])
    assert extended.absent_classes == {"unseen"} and extended.images_sha256 == glyphs.images_sha256
    for labels, before in ((extended.train_labels, glyphs.train_labels), (extended.test_labels, glyphs.test_labels)):
        assert [extended.class_names[label] for label in labels] == [names[label] for label in before]


def test_the_decoding_is_kept(image_zip: Path) -> None:
    photos = load_dataset("folder", root=image_zip, image_size=16, background="black")
    assert photos.decoding is not None and extend_classes(photos, ["cat"]).decoding == photos.decoding


def test_a_task_of_absent_classes_has_no_images(glyphs: ImageDataset) -> None:
    stream = TaskStream(extend_classes(glyphs, ["a", "b"]), [2, 6], class_order="natural")
    assert len(stream.tasks[0].train_indices) == 0 and len(stream.tasks[1].train_indices) == len(glyphs.train_images)
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=4, dataset=stream, task=1)
    _, info = env.reset(seed=0)
    assert info["action_mask"].tolist() == [[0, 0, 1, 1, 1, 1, 1, 1]] * 4
    with pytest.raises(ValueError, match="task 0 has no train images; choose another task"):
        env.reset(options={"task": 0})


def test_other_tasks_without_images_are_refused(glyphs: ImageDataset) -> None:
    names = (*glyphs.class_names, "empty")
    arrays = (glyphs.train_images, glyphs.train_labels, glyphs.test_images, glyphs.test_labels)
    with pytest.raises(ValueError, match="has no training images"):
        TaskStream(ImageDataset("set", *arrays, names), 7, class_order="natural")


def test_a_name_given_twice_is_refused(glyphs: ImageDataset) -> None:
    with pytest.raises(ValueError, match="class name 'a' is the name of class"):
        extend_classes(glyphs, ["a", "a"])


def test_a_task_is_shown_in_one_line(stream: TaskStream) -> None:
    assert repr(stream.tasks[1]) == "Task(1, classes 2 ... 3, 24 train, 10 test images)"
    held = TaskStream(stream.dataset, 6, validation_fraction=0.25)
    assert repr(held.tasks[0]) == "Task(0, class 0, 9 train, 3 validation, 5 test images)"
    assert np.array_equal(held.tasks[0].classes, [0])

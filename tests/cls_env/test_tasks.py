from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from cls_env import ImageDataset, TaskStream


def test_tasks_split_classes_and_images_without_overlap(stream: TaskStream, glyphs: ImageDataset) -> None:
    assert [task.classes.tolist() for task in stream.tasks] == [[0, 1], [2, 3], [4, 5]]
    rows = np.concatenate([task.train_indices for task in stream.tasks])
    assert sorted(rows) == list(range(len(glyphs.train_images)))
    rows = np.concatenate([task.test_indices for task in stream.tasks])
    assert sorted(rows) == list(range(len(glyphs.test_images)))


def test_labels_follow_the_class_order(stream: TaskStream, glyphs: ImageDataset) -> None:
    assert np.array_equal(stream.class_order[stream.test_labels], glyphs.test_labels)
    assert stream.class_names[0] == glyphs.class_names[stream.class_order[0]]


def test_uneven_tasks_put_the_larger_first(glyphs: ImageDataset) -> None:
    assert [len(task.classes) for task in TaskStream(glyphs, 4).tasks] == [2, 2, 1, 1]


def test_one_task_is_joint_training(glyphs: ImageDataset) -> None:
    assert len(TaskStream(glyphs, 1).tasks[0].classes) == 6


def test_class_order_is_drawn_from_the_seed_or_given(glyphs: ImageDataset) -> None:
    orders = {tuple(TaskStream(glyphs, 2, seed=seed).class_order) for seed in range(5)}
    assert len(orders) > 1
    given = TaskStream(glyphs, 2, class_order=[5, 4, 3, 2, 1, 0])
    assert given.class_order.tolist() == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("noise", [0.1, 0.25, 0.5])
def test_noise_flips_exactly_its_share_within_the_task(glyphs: ImageDataset, noise: float) -> None:
    stream = TaskStream(glyphs, 2, seed=3, label_noise=noise)
    for task in stream.tasks:
        noisy, clean = stream.train_labels[task.train_indices], stream.clean_train_labels[task.train_indices]
        assert (noisy != clean).sum() == round(noise * len(clean))
        assert set(noisy) <= set(task.classes)
    assert np.array_equal(stream.test_labels, TaskStream(glyphs, 2, seed=3).test_labels)


def test_noise_reaches_every_other_class(glyphs: ImageDataset) -> None:
    stream = TaskStream(glyphs, 1, label_noise=0.9)
    flipped = stream.train_labels != stream.clean_train_labels
    offsets = (stream.train_labels - stream.clean_train_labels)[flipped] % 6
    assert set(offsets) == {1, 2, 3, 4, 5}


def test_noise_leaves_the_class_order_alone(glyphs: ImageDataset) -> None:
    clean, noisy = (TaskStream(glyphs, 3, seed=4, label_noise=noise) for noise in (0.0, 0.2))
    assert np.array_equal(clean.class_order, noisy.class_order)
    assert np.array_equal(clean.train_labels, noisy.clean_train_labels)
    assert clean.fingerprint != noisy.fingerprint


def test_fingerprint_is_the_same_in_another_process() -> None:
    options = "num_tasks=3, seed=2, label_noise=0.2, dataset_options={'num_classes': 6, 'train_per_class': 4}"
    code = f"from cls_env import TaskStream; print(TaskStream('glyphs', {options}).fingerprint)"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    here = TaskStream(
        "glyphs", num_tasks=3, seed=2, label_noise=0.2, dataset_options={"num_classes": 6, "train_per_class": 4}
    )
    assert there == here.fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_tasks": 7}, "7 tasks can't be made of 6 classes"),
        ({"num_tasks": 0}, "0 tasks can't be made"),
        ({"label_noise": 1.0}, r"label_noise is a share in \[0, 1\)"),
        ({"label_noise": -0.1}, "label_noise is a share"),
        ({"num_tasks": 6, "label_noise": 0.2}, "single class"),
        ({"class_order": [0, 1, 2]}, "class_order must name each"),
        ({"dataset_options": {"seed": 1}}, "give them with a dataset's name"),
    ],
)
def test_impossible_streams_are_refused(glyphs: ImageDataset, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TaskStream(glyphs, **options)


def test_task_without_images_is_refused(glyphs: ImageDataset) -> None:
    kept = glyphs.test_labels != 2
    dataset = ImageDataset(
        "gap",
        glyphs.train_images,
        glyphs.train_labels,
        glyphs.test_images[kept],
        glyphs.test_labels[kept],
        glyphs.class_names,
    )
    with pytest.raises(ValueError, match="has no test images"):
        TaskStream(dataset, 6)

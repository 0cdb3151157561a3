"""Tasks of class-incremental streams, their images and their labels."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from cls_env import ImageDataset, TaskStream
from cls_env.datasets import DATASETS, DatasetCard, task_count
from cls_env.tasks.scenarios import SCENARIOS
from tests.cls_env.tasks.conftest import (
    CLASS_SCENARIOS,
    EVERYTHING,
    SEEDS,
    hand_made,
    sizes_of,
)


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


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, [2, 2, 2, 2, 2]),
        ({"num_tasks": [1, 6, 3]}, [1, 6, 3]),
        ({"num_tasks": (10,)}, [10]),
        ({"init_classes": 4, "increment": 3}, [4, 3, 3]),
        ({"init_classes": 5, "increment": 2}, [5, 2, 2, 1]),
        ({"init_classes": 10, "increment": 1}, [10]),
        ({"increment": 4}, [4, 4, 2]),
        ({"increment": 5}, [5, 5]),
    ],
)
@pytest.mark.parametrize("scenario", CLASS_SCENARIOS)
def test_tasks_have_the_sizes_asked_for(options: dict[str, object], sizes: list[int], scenario: str) -> None:
    stream = TaskStream(hand_made([4] * 10), scenario=scenario, **options)
    assert sizes_of(stream) == sizes
    assert np.concatenate([task.classes for task in stream.tasks]).tolist() == list(range(10))


def test_the_number_of_tasks_is_the_one_customary_for_the_set(
    glyphs: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"num_classes": 10, "train_per_class": 1, "test_per_class": 1}
    named = TaskStream(dataset_options=options)
    assert len(named.tasks) == task_count("glyphs", 10) == 5
    monkeypatch.setitem(DATASETS, "pairs", DatasetCard(name="pairs", loader=lambda: glyphs, task_counts=(2,)))
    assert sizes_of(TaskStream("pairs")) == [3, 3]
    assert sizes_of(TaskStream(glyphs)) == [2, 1, 1, 1, 1]
    monkeypatch.setitem(DATASETS, "few", DatasetCard(name="few", loader=lambda: glyphs, task_counts=(10,)))
    assert sizes_of(TaskStream("few")) == [1] * 6  # a class each, where there are fewer classes than usual tasks


def test_arrays_make_a_stream() -> None:
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), np.arange(40) % 4
    stream = TaskStream((images, labels), 2, seed=1)
    assert [len(task.train_indices) for task in stream.tasks] == [16, 16]
    assert [len(task.test_indices) for task in stream.tasks] == [4, 4]
    assert not np.array_equal(stream.images("test"), TaskStream((images, labels), 2, seed=2).images("test"))
    split = TaskStream((images, labels, images[:8], labels[:8]), 2)
    assert [len(task.test_indices) for task in split.tasks] == [4, 4]
    assert np.array_equal(split.images("test"), images[:8])


def test_one_task_is_joint_training(glyphs: ImageDataset) -> None:
    assert len(TaskStream(glyphs, 1).tasks[0].classes) == 6


def test_class_order_is_drawn_from_the_seed_or_given(glyphs: ImageDataset) -> None:
    orders = {tuple(TaskStream(glyphs, 2, seed=seed).class_order) for seed in range(5)}
    assert len(orders) > 1
    given = TaskStream(glyphs, 2, class_order=[5, 4, 3, 2, 1, 0])
    assert given.class_order.tolist() == [5, 4, 3, 2, 1, 0]
    natural = TaskStream(glyphs, 2, seed=3, class_order="natural")
    assert natural.class_order.tolist() == [0, 1, 2, 3, 4, 5]
    assert natural.class_names == glyphs.class_names


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


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", CLASS_SCENARIOS)
def test_no_image_is_in_two_splits_or_two_tasks(scenario: str, seed: int) -> None:
    dataset = hand_made([20, 11, 9, 14, 7], seed=seed)
    stream = TaskStream(dataset, [2, 3], scenario=scenario, seed=seed, **EVERYTHING)
    for task in stream.tasks:
        for split, labels in (("train", stream.clean_train_labels), ("validation", stream.labels("validation"))):
            assert set(labels[task.indices(split)]) == set(task.classes)
        assert set(stream.test_labels[task.test_indices]) == set(task.classes)
    trained = np.concatenate([task.indices(split) for task in stream.tasks for split in ("train", "validation")])
    assert len(set(trained)) == len(trained)
    tested = np.concatenate([task.test_indices for task in stream.tasks])
    assert sorted(tested) == list(range(len(dataset.test_labels)))


@pytest.mark.parametrize("seed", SEEDS)
def test_counts_by_hand(seed: int) -> None:
    dataset = hand_made([20, 11, 9, 14, 1])
    stream = TaskStream(dataset, 2, seed=seed, validation_fraction=0.2, max_per_class=8, imbalance_factor=16)
    held = np.concatenate([task.validation_indices for task in stream.tasks])
    assert np.bincount(dataset.train_labels[held], minlength=5).tolist() == [4, 2, 2, 3, 0]
    kept = np.concatenate([task.train_indices for task in stream.tasks])
    # 16, 9, 7, 11, 1 are left, 8, 8, 7, 8, 1 after the cap, and the tail allows 8 / (1, 2, 4, 8, 16), at least 1.
    assert np.bincount(dataset.train_labels[kept]).tolist() == [8, 4, 2, 1, 1]


def test_validation_depends_on_the_seed_only() -> None:
    def held(**options: object) -> list[int]:
        stream = TaskStream(hand_made(), **({"num_tasks": 2, "validation_fraction": 0.3} | options))
        return sorted(np.concatenate([task.validation_indices for task in stream.tasks]))

    for options in ({"num_tasks": 4}, {"class_order": "natural"}, {"max_per_class": 2}, {"label_noise": 0.3}):
        assert held(**options) == held()
    assert held(seed=1) != held()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("noise_type", ["symmetric", "pair-flip"])
def test_noise_is_exact_on_what_remains_and_spares_the_rest(seed: int, noise_type: str) -> None:
    stream = TaskStream(hand_made(), 2, seed=seed, noise_type=noise_type, **EVERYTHING)
    wrong = stream.train_labels != stream.clean_train_labels
    trained = np.concatenate([task.train_indices for task in stream.tasks])
    for task in stream.tasks:
        assert wrong[task.train_indices].sum() == round(0.25 * len(task.train_indices)) > 0
        assert set(stream.train_labels[task.train_indices]) <= set(task.classes)
    assert not np.delete(wrong, trained).any()
    assert np.array_equal(stream.class_order[stream.labels("validation")], stream.dataset.train_labels)
    assert np.array_equal(stream.class_order[stream.labels("test")], stream.dataset.test_labels)


@pytest.mark.parametrize("noise", [0.25, np.full((4, 4), 0.25)], ids=["share", "matrix"])
def test_validation_labels_may_be_as_noisy(noise: float | np.ndarray) -> None:
    """By a random stream of their own: the training labels are those without it."""
    options = EVERYTHING | {"label_noise": noise, "num_tasks": 1}
    noisy, plain = (TaskStream(hand_made(), noisy_validation=value, **options) for value in (True, False))
    train, held = noisy.tasks[0].train_indices, noisy.tasks[0].validation_indices
    assert np.array_equal(noisy.train_labels[train], plain.train_labels[train])
    wrong = noisy.labels("validation")[held] != noisy.clean_train_labels[held]
    assert wrong.sum() == round(0.25 * len(held)) if isinstance(noise, float) else wrong.any()
    assert noisy.fingerprint != plain.fingerprint
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=len(held), dataset=noisy, split="validation")
    assert np.array_equal(env.reset()[1]["label"], noisy.train_labels[held])


@pytest.mark.parametrize("seed", SEEDS)
def test_transition_matrix_speaks_of_original_classes(seed: int) -> None:
    matrix = np.eye(4)
    matrix[2] = [0.4, 0.2, 0.4, 0]
    dataset = hand_made()
    stream = TaskStream(dataset, 1, seed=seed, label_noise=matrix, validation_fraction=0.5)
    noisy = stream.class_order[stream.train_labels]
    rows = stream.tasks[0].train_indices
    counts = np.zeros((4, 4), dtype=int)
    np.add.at(counts, (dataset.train_labels[rows], noisy[rows]), 1)
    assert counts.tolist() == [[5, 0, 0, 0], [0, 5, 0, 0], [2, 1, 2, 0], [0, 0, 0, 5]]
    assert (noisy != dataset.train_labels).sum() == 3


def test_transition_out_of_the_task_names_both_classes() -> None:
    matrix = np.eye(4)
    matrix[1] = [0, 0.9, 0, 0.1]
    TaskStream(hand_made(), 2, class_order=[0, 2, 1, 3], label_noise=matrix)
    with pytest.raises(ValueError, match="images of 'b' as 'd', a class of another task"):
        TaskStream(hand_made(), 2, class_order="natural", label_noise=matrix)


def test_splits_of_a_task_and_a_stream() -> None:
    stream = TaskStream(hand_made(), 2, label_noise=0.2, validation_fraction=0.2)
    task = stream.tasks[1]
    for split in ("train", "validation", "test"):
        assert task.indices(split) is getattr(task, f"{split}_indices")
        assert task.indices(split).dtype == np.int64
    assert stream.images("validation") is stream.images("train") is stream.dataset.train_images
    assert stream.labels("validation") is stream.clean_train_labels
    for part in (task.indices, stream.images, stream.labels):
        with pytest.raises(ValueError, match="unknown split 'valid'; did you mean 'validation'"):
            part("valid")
    plain = TaskStream(hand_made(), 2).tasks[0]
    assert plain.indices("validation").tolist() == []
    assert plain.indices("validation").dtype == np.int64


def test_scenarios_say_what_changes_and_what_is_told() -> None:
    table = {name: (rule.by_domain, rule.task_id_given, rule.one_pass) for name, rule in SCENARIOS.items()}
    assert table == {
        "class-incremental": (False, False, False),
        "task-incremental": (False, True, False),
        "domain-incremental": (True, False, False),
        "online": (False, False, True),
    }
    for name in CLASS_SCENARIOS:
        assert TaskStream(hand_made(), 2, scenario=name).scenario is SCENARIOS[name]


def test_class_scenarios_have_the_same_tasks() -> None:
    streams = [TaskStream(hand_made(), 2, scenario=name, **EVERYTHING) for name in CLASS_SCENARIOS]
    for tasks in zip(*(stream.tasks for stream in streams), strict=True):
        for part in ("classes", "train_indices", "validation_indices", "test_indices"):
            assert len({getattr(task, part).tobytes() for task in tasks}) == 1
    assert len({stream.train_labels.tobytes() for stream in streams}) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_tasks": 7}, "7 tasks can't be made of 6 classes"),
        ({"num_tasks": 0}, "0 tasks can't be made"),
        ({"label_noise": 1.0}, r"label_noise must be in \[0, 1\)"),
        ({"label_noise": -0.1}, "label_noise must be in"),
        ({"num_tasks": 6, "label_noise": 0.2}, "only one class"),
        ({"num_tasks": 6, "label_noise": 0.2, "noise_type": "pair-flip"}, "only one class"),
        ({"label_noise": np.eye(5)}, r"of shape \(6, 6\), not of shape \(5, 5\)"),
        ({"noise_type": "pair"}, "unknown noise_type 'pair'"),
        ({"class_order": [0, 1, 2]}, "class_order must name each"),
        ({"class_order": "naturel"}, "unknown class_order 'naturel'; did you mean 'natural'"),
        ({"num_tasks": [2, 3]}, r"num_tasks=\[2, 3\] sums to 5; .* 6 in total"),
        ({"num_tasks": [7, -1]}, "at least 1 each"),
        ({"num_tasks": []}, "sums to 0"),
        ({"num_tasks": 2, "increment": 3}, "num_tasks can't be combined with init_classes or increment"),
        ({"num_tasks": 2, "init_classes": 3}, "num_tasks can't be combined with init_classes or increment"),
        ({"init_classes": 3}, "init_classes=3 needs increment"),
        ({"init_classes": 7, "increment": 1}, "a first task of 7 classes and .* can't be made of 6 classes"),
        ({"init_classes": 0, "increment": 1}, r"init_classes must be in 1 \.\.\. 6"),
        ({"init_classes": 3, "increment": 0}, "increment at least 1"),
        ({"increment": 8}, "a first task of 8 classes"),
        ({"scenario": "class-incremenal"}, "unknown scenario 'class-incremenal'; did you mean 'class-incremental'"),
        ({"domains": ["identity"]}, "domains need scenario='domain-incremental', not 'class-incremental'"),
        ({"validation_fraction": 1.0}, r"validation_fraction must be in \[0, 1\)"),
        ({"validation_fraction": 0.01}, r"task 0 \(classes .*\) has no validation images; raise validation_fraction"),
        ({"max_per_class": 0}, "max_per_class must be at least 1"),
        ({"imbalance_factor": 0.1}, "imbalance_factor"),
        ({"dataset": (np.zeros((2, 8, 8, 3), dtype=np.uint8),)}, "not a tuple of 1"),
        ({"dataset": [1, 2]}, "not a list"),
        ({"dataset_options": {"seed": 1}}, "they need the name of a dataset"),
    ],
)
def test_impossible_streams_are_refused(glyphs: ImageDataset, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TaskStream(**({"dataset": glyphs} | options))


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

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from cls_env import ImageDataset, Task, TaskStream
from cls_env.datasets import DATASETS, DatasetCard, task_count
from cls_env.tasks.scenarios import SCENARIOS

SEEDS = range(3)
CLASS_SCENARIOS = ("class-incremental", "task-incremental", "online")
SKETCHES = ("photo", "clipart", "sketch", "painting")
EVERYTHING = {"validation_fraction": 0.2, "max_per_class": 7, "imbalance_factor": 3.0, "label_noise": 0.25}


def hand_made(
    sizes: Sequence[int] = (10, 10, 10, 10), test_size: int = 3, domains: Sequence[str] = (), seed: int = 0
) -> ImageDataset:
    """Black images, `sizes` of each class for training (in each domain), in a mixed order."""
    random = np.random.default_rng(seed)
    count = max(len(domains), 1)
    cells = random.permutation(np.repeat(np.arange(count * len(sizes)), list(sizes) * count))
    test_cells = np.repeat(np.arange(count * len(sizes)), test_size)
    return ImageDataset(
        "hand-made",
        np.zeros((len(cells), 4, 4, 3), dtype=np.uint8),
        cells % len(sizes),
        np.zeros((len(test_cells), 4, 4, 3), dtype=np.uint8),
        test_cells % len(sizes),
        tuple("abcdefghij"[: len(sizes)]),
        *((cells // len(sizes), test_cells // len(sizes), tuple(domains)) if domains else ()),
    )


def domain_stream(dataset: ImageDataset | None = None, **options: object) -> TaskStream:
    return TaskStream(dataset or hand_made(domains=SKETCHES), scenario="domain-incremental", **options)


def domains_of(tasks: Sequence[Task]) -> list[str | None]:
    return [task.domain for task in tasks]


def sizes_of(stream: TaskStream) -> list[int]:
    return [len(task.classes) for task in stream.tasks]


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
    assert len(named.tasks) == task_count("glyphs") == 5
    monkeypatch.setitem(DATASETS, "pairs", DatasetCard(name="pairs", loader=lambda: glyphs, task_counts=(2,)))
    assert sizes_of(TaskStream("pairs")) == [3, 3]
    assert sizes_of(TaskStream(glyphs)) == [2, 1, 1, 1, 1]


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


def test_fingerprint_is_the_same_in_another_process() -> None:
    options = "num_tasks=3, seed=2, label_noise=0.2, dataset_options={'num_classes': 6, 'train_per_class': 4}"
    code = f"from cls_env import TaskStream; print(TaskStream('glyphs', {options}).fingerprint)"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    here = TaskStream(
        "glyphs", num_tasks=3, seed=2, label_noise=0.2, dataset_options={"num_classes": 6, "train_per_class": 4}
    )
    assert there == here.fingerprint


def test_fingerprints_of_published_results_stay() -> None:
    """The index lists behind committed results: the same on every machine and in every later version."""
    options = {"num_classes": 6, "train_per_class": 4}
    published = {
        (1, 0, 0.0): "3745f348545bc794e39dbda8a313c36ab3548902735f00b8dd507b39851e1a72",
        (3, 1, 0.0): "af709eb80a633c3b638362119a6ee8cce2e941e5c07ce557b66660da9c98e064",
        (3, 2, 0.2): "88f670b687041cf1f55d0d3418e6ba9668c5e06a0ca3130e12af728d430a4e48",
        (2, 1, 0.5): "566f6b6e7e5f144e787ac1a53bd2757c71d5a830f6930f4cd703340f15a2e5e0",
    }
    for (num_tasks, seed, noise), fingerprint in published.items():
        stream = TaskStream("glyphs", num_tasks, seed=seed, label_noise=noise, dataset_options=options)
        assert stream.fingerprint == fingerprint
    assert TaskStream().fingerprint == "c7664470dcce3171950dfa98dc5a380b3f846818602386aac006dac6d3def601"


def test_fingerprints_of_subsets_and_domains_stay() -> None:
    classes = TaskStream(hand_made(), 2, seed=3, noise_type="pair-flip", **EVERYTHING)
    assert classes.fingerprint == "60803081070339a2ef1f89912397bbd43efdbea07ed0feaf51adee033c513690"
    domains = domain_stream(seed=3, **EVERYTHING)
    assert domains.fingerprint == "28adc0d72cf5e4096b708f5338a256a2711fd82f584eb5938b5f7740751767dc"


def test_fingerprint_is_unchanged_by_defaults() -> None:
    spelled_out = TaskStream(
        hand_made(),
        2,
        scenario="class-incremental",
        validation_fraction=0,
        max_per_class=10,
        imbalance_factor=1,
        label_noise=np.eye(4),
        noise_type="symmetric",
    )
    for splitting in ({"num_tasks": 2}, {"num_tasks": [2, 2]}, {"increment": 2}):
        assert TaskStream(hand_made(), **splitting).fingerprint == spelled_out.fingerprint


def test_fingerprint_differs_where_anything_shown_differs() -> None:
    pairs = np.kron(np.eye(2), np.array([[0.8, 0.2], [0.2, 0.8]]))
    variants: list[dict[str, object]] = [
        {},
        {"seed": 1, "label_noise": 0.2},
        {"class_order": [3, 2, 1, 0]},
        {"num_tasks": 1},
        {"num_tasks": [1, 3]},
        {"scenario": "task-incremental"},
        {"scenario": "online"},
        {"validation_fraction": 0.2},
        {"validation_fraction": 0.3},
        {"max_per_class": 8},
        {"imbalance_factor": 2.0},
        {"label_noise": 0.2},
        {"label_noise": pairs},
        {"num_tasks": 1, "label_noise": 0.2},
        {"num_tasks": 1, "label_noise": 0.2, "noise_type": "pair-flip"},
    ]
    prints = [TaskStream(hand_made(), **({"num_tasks": 2, "class_order": "natural"} | each)) for each in variants]
    domains = hand_made(domains=SKETCHES)
    prints += [
        TaskStream(domains, scenario="domain-incremental", class_order="natural", **each)
        for each in ({}, {"domains": SKETCHES}, {"domains": SKETCHES[::-1]}, {"domains": SKETCHES[:3]})
    ]
    for domain_names in (SKETCHES, ("one", "two", "three", "four")):
        dataset = hand_made(domains=domain_names)
        prints.append(TaskStream(dataset, scenario="domain-incremental", domains=domain_names, seed=5))
    fingerprints = [stream.fingerprint for stream in prints]
    assert len(set(fingerprints)) == len(fingerprints)
    assert len({repr(stream) for stream in prints}) == len(fingerprints)


def test_fingerprint_knows_validation_images_by_themselves() -> None:
    options = {"seed": 2, "max_per_class": 1}
    few, many = (TaskStream(hand_made(), 2, validation_fraction=share, **options) for share in (0.1, 0.2))
    for task, same in zip(few.tasks, many.tasks, strict=True):
        assert np.array_equal(task.train_indices, same.train_indices)
    assert few.fingerprint != many.fingerprint


def test_fingerprint_knows_the_noise_of_a_shift() -> None:
    options = {"scenario": "domain-incremental", "domains": ["gaussian-noise-1"], "class_order": "natural"}
    first, again, other = (TaskStream(hand_made(), seed=seed, **options) for seed in (0, 0, 1))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert np.array_equal(first.images("train")[:2], again.images("train")[:2])
    assert not np.array_equal(first.images("train")[:2], other.images("train")[:2])


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


def test_validation_hangs_on_the_seed_alone() -> None:
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


@pytest.mark.parametrize("seed", SEEDS)
def test_domains_arrive_one_by_one_with_all_classes(seed: int) -> None:
    stream = domain_stream(seed=seed, **EVERYTHING)
    dataset = stream.dataset
    assert stream.scenario.by_domain
    assert sorted(domains_of(stream.tasks)) == sorted(SKETCHES)
    for task in stream.tasks:
        assert task.classes.tolist() == [0, 1, 2, 3]
        place = SKETCHES.index(task.domain)
        for rows in (task.train_indices, task.validation_indices):
            assert set(dataset.train_domains[rows]) == {place}
        assert np.array_equal(task.test_indices, np.flatnonzero(dataset.test_domains == place))
        assert np.bincount(dataset.train_labels[task.validation_indices]).tolist() == [2, 2, 2, 2]
        # 8 of each are left, 7 after the cap, and the tail allows 7 / (1, 3**(1/3), 3**(2/3), 3).
        assert np.bincount(dataset.train_labels[task.train_indices]).tolist() == [7, 4, 3, 2]
        assert (stream.train_labels != stream.clean_train_labels)[task.train_indices].sum() == 4


def test_order_of_domains_is_drawn_by_a_stream_of_its_own() -> None:
    orders = {tuple(domains_of(domain_stream(seed=seed).tasks)) for seed in range(8)}
    assert len(orders) > 3
    first = domain_stream(seed=2)
    same = domain_stream(seed=2, class_order="natural", **EVERYTHING)
    assert domains_of(first.tasks) == domains_of(same.tasks)
    assert np.array_equal(first.class_order, TaskStream(hand_made(), 2, seed=2).class_order)


def test_domains_may_be_chosen_and_ordered() -> None:
    stream = domain_stream(domains=["sketch", "photo"], num_tasks=2)
    assert domains_of(stream.tasks) == ["sketch", "photo"]
    assert set(stream.dataset.train_domains[stream.tasks[0].train_indices]) == {2}


def test_validation_of_a_domain_does_not_hang_on_the_others() -> None:
    everything, alone = (
        domain_stream(validation_fraction=0.3),
        domain_stream(validation_fraction=0.3, domains=["photo"]),
    )
    held = {task.domain: task.validation_indices for task in everything.tasks}
    assert np.array_equal(held["photo"], alone.tasks[0].validation_indices)


def test_shifts_make_domains_of_any_set(glyphs: ImageDataset) -> None:
    shifts = ["rotate-90", "identity"]
    stream = domain_stream(glyphs, domains=shifts, seed=3, validation_fraction=0.25)
    assert domains_of(stream.tasks) == shifts
    rotated, plain = stream.tasks
    for split in ("train", "validation", "test"):
        assert len(rotated.indices(split)) == len(plain.indices(split))
        turned, upright = (stream.images(split)[task.indices(split)[0]] for task in (rotated, plain))
        assert np.array_equal(turned, np.rot90(upright))
    pictures = len(glyphs.train_labels)
    trained = np.concatenate([task.train_indices for task in stream.tasks]) % pictures
    held = np.concatenate([task.validation_indices for task in stream.tasks]) % pictures
    assert not set(trained) & set(held)


def test_a_class_may_miss_in_a_domain() -> None:
    whole = hand_made(domains=("left", "right"))
    keep = (whole.train_domains == 0) | (whole.train_labels > 0)
    dataset = ImageDataset(
        "gap",
        whole.train_images[keep],
        whole.train_labels[keep],
        whole.test_images,
        whole.test_labels,
        whole.class_names,
        whole.train_domains[keep],
        whole.test_domains,
        whole.domain_names,
    )
    stream = domain_stream(dataset, domains=["right", "left"], **EVERYTHING)
    assert np.bincount(dataset.train_labels[stream.tasks[0].train_indices]).tolist()[0] == 0
    assert stream.tasks[0].classes.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("split", "name"), [("train", "training"), ("test", "test")])
def test_domain_without_images_is_refused_by_name(split: str, name: str) -> None:
    whole = hand_made(domains=SKETCHES)
    domains = {"train": whole.train_domains, "test": whole.test_domains}
    domains[split] = np.minimum(domains[split], 2)
    dataset = ImageDataset(
        "gap",
        whole.train_images,
        whole.train_labels,
        whole.test_images,
        whole.test_labels,
        whole.class_names,
        domains["train"],
        domains["test"],
        whole.domain_names,
    )
    with pytest.raises(ValueError, match=f"domain 'painting' has no {name} images; leave it out of domains"):
        domain_stream(dataset)
    assert len(domain_stream(dataset, domains=SKETCHES[:3]).tasks) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_tasks": 3}, "a task for each of its 4 domains: drop num_tasks=3"),
        ({"num_tasks": [2, 2]}, r"drop num_tasks=\[2, 2\]"),
        ({"increment": 2}, "every task holds all classes: drop init_classes and increment"),
        ({"init_classes": 2, "increment": 2}, "every task holds all classes"),
        ({"domains": ["photo", "sketsch"]}, "unknown domain 'sketsch'; did you mean 'sketch'"),
        ({"domains": ["photo", "photo"]}, "different names"),
        ({"domains": []}, "at least one"),
        ({"domains": "photo"}, "domains must be a list of names, not 'photo'"),
        ({"dataset": hand_made()}, "hand-made has no domains of its own: name shifts"),
        ({"dataset": hand_made(), "domains": ["rotate-91"]}, "unknown domain shift 'rotate-91'; did you mean"),
        ({"dataset": hand_made(), "domains": ["identity", "identity"]}, "different names"),
        ({"validation_fraction": 0.01}, "domain '.*' has no validation images; raise validation_fraction"),
    ],
)
def test_impossible_domain_streams_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        domain_stream(**options)


def test_description_is_json_and_complete() -> None:
    stream = TaskStream(
        hand_made(), 2, seed=np.int64(4), class_order=[3, 1, 0, 2], noise_type="pair-flip", **EVERYTHING
    )
    described = json.loads(json.dumps(stream.describe()))
    assert described == {
        "dataset": "hand-made",
        "image_size": [4, 4],
        "scenario": "class-incremental",
        "seed": 4,
        "class_order": [3, 1, 0, 2],
        "num_classes": 4,
        "label_noise": {"type": "pair-flip", "share": 0.25},
        "validation_fraction": 0.2,
        "max_per_class": 7,
        "imbalance_factor": 3.0,
        "left_out": {},
        "remarks": {},
        "tasks": [
            {
                "task": index,
                "classes": names,
                "domain": None,
                "train_images": count,
                "validation_images": 4,
                "test_images": 6,
                "flipped_labels": round(count / 4),
            }
            # 7 / (1, 3**(1/3), 3**(2/3), 3) of a, b, c, d
            for index, (names, count) in enumerate(((["d", "b"], 2 + 4), (["a", "c"], 7 + 3)))
        ],
        "fingerprint": stream.fingerprint,
    }


def test_description_of_domains_a_matrix_and_the_natural_order() -> None:
    stream = domain_stream(domains=SKETCHES, class_order="natural", label_noise=np.full((4, 4), 0.25))
    described = json.loads(json.dumps(stream.describe()))
    assert described["class_order"] == "natural"
    assert described["label_noise"] == {"type": "transition", "share": "matrix"}
    assert [task["domain"] for task in described["tasks"]] == list(SKETCHES)
    assert {task["flipped_labels"] for task in described["tasks"]} == {30}  # a and b keep 3 of 10 each, c and d 2


def test_representation_is_one_line() -> None:
    line = repr(TaskStream(hand_made(), 2, scenario="online", label_noise=0.2))
    assert line.startswith("TaskStream('hand-made', online, 2 tasks, 4 classes, seed=0, label_noise=0.2, fingerprint=")
    assert "label_noise=matrix" in repr(TaskStream(hand_made(), 2, label_noise=np.eye(4)))
    assert "\n" not in line


def test_no_pixel_is_read(tmp_path: Path) -> None:
    """The file is cut to nothing once it is mapped: to read a single pixel of it would end the process (SIGBUS)."""
    code = f"""
import os
import numpy as np
from cls_env import ImageDataset, TaskStream

path, shape = {str(tmp_path / "pixels")!r}, (200_000, 224, 224, 3)
open(path, "wb").close()
os.truncate(path, np.prod(shape))
images = np.memmap(path, dtype=np.uint8, mode="r", shape=shape)
os.truncate(path, 0)
labels = np.arange(len(images)) % 100
domains = labels // 50
dataset = ImageDataset("large", images, labels, images[:1000], labels[:1000], tuple(map(str, range(100))),
                       domains, domains[:1000], ("near", "far"))
options = {{"validation_fraction": 0.1, "max_per_class": 500, "imbalance_factor": 10.0, "label_noise": 0.2}}
for scenario in ("class-incremental", "domain-incremental"):
    stream = TaskStream(dataset, scenario=scenario, **options)
    print(stream, stream.describe()["fingerprint"], stream.images("validation").shape, flush=True)
"""
    builds = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert builds.returncode == 0, builds.stderr
    assert builds.stdout.count("(200000, 224, 224, 3)") == 2
    reads = subprocess.run([sys.executable, "-c", code + "images[0].sum()"], capture_output=True, text=True)
    assert reads.returncode == -signal.SIGBUS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_tasks": 7}, "7 tasks can't be made of 6 classes"),
        ({"num_tasks": 0}, "0 tasks can't be made"),
        ({"label_noise": 1.0}, r"label_noise is a share in \[0, 1\)"),
        ({"label_noise": -0.1}, "label_noise is a share"),
        ({"num_tasks": 6, "label_noise": 0.2}, "single class"),
        ({"num_tasks": 6, "label_noise": 0.2, "noise_type": "pair-flip"}, "single class"),
        ({"label_noise": np.eye(5)}, r"of shape \(6, 6\), not of shape \(5, 5\)"),
        ({"noise_type": "pair"}, "unknown noise_type 'pair'"),
        ({"class_order": [0, 1, 2]}, "class_order must name each"),
        ({"class_order": "naturel"}, "unknown class_order 'naturel'; did you mean 'natural'"),
        ({"num_tasks": [2, 3]}, r"num_tasks=\[2, 3\] sums to 5; .* 6 in all"),
        ({"num_tasks": [7, -1]}, "at least 1 each"),
        ({"num_tasks": []}, "sums to 0"),
        ({"num_tasks": 2, "increment": 3}, "num_tasks can't be combined with init_classes or increment"),
        ({"num_tasks": 2, "init_classes": 3}, "num_tasks can't be combined with init_classes or increment"),
        ({"init_classes": 3}, "init_classes=3 needs increment"),
        ({"init_classes": 7, "increment": 1}, "a first task of 7 classes, .* can't be made of 6 classes"),
        ({"init_classes": 0, "increment": 1}, r"init_classes must be in 1 \.\.\. 6"),
        ({"init_classes": 3, "increment": 0}, "increment at least 1"),
        ({"increment": 8}, "a first task of 8 classes"),
        ({"scenario": "class-incremenal"}, "unknown scenario 'class-incremenal'; did you mean 'class-incremental'"),
        ({"domains": ["identity"]}, "domains belong to scenario='domain-incremental', not to 'class-incremental'"),
        ({"validation_fraction": 1.0}, r"validation_fraction is a share in \[0, 1\)"),
        ({"validation_fraction": 0.01}, r"task 0 \(classes .*\) has no validation images; raise validation_fraction"),
        ({"max_per_class": 0}, "max_per_class must be at least 1"),
        ({"imbalance_factor": 0.1}, "imbalance_factor"),
        ({"dataset": (np.zeros((2, 8, 8, 3), dtype=np.uint8),)}, "not a tuple of 1"),
        ({"dataset": [1, 2]}, "not a list"),
        ({"dataset_options": {"seed": 1}}, "give them with a dataset's name"),
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

"""Domain-incremental streams."""

from __future__ import annotations

import numpy as np
import pytest

from cls_env import ImageDataset, TaskStream
from tests.cls_env.tasks.conftest import (
    EVERYTHING,
    SEEDS,
    SKETCHES,
    domain_stream,
    domains_of,
    hand_made,
)


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


def test_validation_of_a_domain_does_not_depend_on_the_others() -> None:
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
    with pytest.raises(ValueError, match=f"domain 'painting' has no {name} images; remove it from domains"):
        domain_stream(dataset)
    assert len(domain_stream(dataset, domains=SKETCHES[:3]).tasks) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_tasks": 3}, "one task for each of its 4 domains: remove num_tasks=3"),
        ({"num_tasks": [2, 2]}, r"remove num_tasks=\[2, 2\]"),
        ({"increment": 2}, "every task has all classes: remove init_classes and increment"),
        ({"init_classes": 2, "increment": 2}, "every task has all classes"),
        ({"domains": ["photo", "sketsch"]}, "unknown domain 'sketsch'; did you mean 'sketch'"),
        ({"domains": ["photo", "photo"]}, "distinct names"),
        ({"domains": []}, "at least one"),
        ({"domains": "photo"}, "domains must be a list of names, not 'photo'"),
        ({"dataset": hand_made()}, "hand-made has no domains: give shifts"),
        ({"dataset": hand_made(), "domains": ["rotate-91"]}, "unknown domain shift 'rotate-91'; did you mean"),
        ({"dataset": hand_made(), "domains": ["identity", "identity"]}, "distinct names"),
        ({"validation_fraction": 0.01}, "domain '.*' has no validation images; raise validation_fraction"),
    ],
)
def test_impossible_domain_streams_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        domain_stream(**options)

"""Fingerprints of streams."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from cls_env import TaskStream
from tests.cls_env.tasks.conftest import (
    EVERYTHING,
    SKETCHES,
    domain_stream,
    hand_made,
)


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

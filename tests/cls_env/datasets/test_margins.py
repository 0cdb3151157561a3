"""The margin around the images of the embedded sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cls_env import ImageDataset, TaskStream, load_dataset
from cls_env.datasets.margins import with_margin

SETS = {
    "glyphs": ({"num_classes": 4, "train_per_class": 2, "test_per_class": 2}, {"margin": 0}),
    "digits": ({}, {"image_size": 32, "margin": 0}),
}
"""Options of a small set, and those that leave its margin out."""


def load(name: str) -> tuple[ImageDataset, ImageDataset]:
    options, without = SETS[name]
    return load_dataset(name, **options), load_dataset(name, **options, **without)


@pytest.mark.parametrize("name", SETS)
def test_the_margin_surrounds_the_images_of_before(name: str) -> None:
    framed, bare = load(name)
    for split in ("train", "test"):
        outer, inner = getattr(framed, f"{split}_images"), getattr(bare, f"{split}_images")
        assert outer.shape[1:] == (36, 36, 3) and inner.shape[1:] == (32, 32, 3)
        assert np.array_equal(outer[:, 2:-2, 2:-2], inner)
        assert np.array_equal(outer[:, 0, 2:-2], inner[:, 2]) and np.array_equal(outer[:, 2:-2, -1], inner[:, :, -3])


@pytest.mark.parametrize("name", SETS)
def test_the_stream_does_not_depend_on_the_margin(name: str) -> None:
    framed, bare = (TaskStream(dataset, 2, seed=3, label_noise=0.2) for dataset in load(name))
    assert framed.fingerprint == bare.fingerprint
    assert framed.dataset.images_sha256 != bare.dataset.images_sha256


def test_a_size_of_digits_is_that_of_the_whole_image() -> None:
    assert load_dataset("digits", image_size=64).train_images.shape[1:] == (64, 64, 3)
    assert load_dataset("digits", image_size=8, margin=0).train_images.shape[1:] == (8, 8, 3)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("glyphs", {"margin": -1}, "margin must be a whole number of at least 0, not -1"),
        ("glyphs", {"margin": 1.0}, r"margin of dataset 'glyphs' must be a whole number, not 1\.0"),
        ("glyphs", {"margin": 32}, "margin must be less than the 32 pixels of the images, not 32"),
        ("digits", {"image_size": 10}, "at least 8 pixels inside the margin, not 10 with margin 2"),
        ("digits", {"margin": "2"}, "margin of dataset 'digits' must be a whole number, not '2'"),
    ],
)
def test_impossible_margins_are_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_dataset(name, **SETS[name][0] | options)


def test_gray_images_get_a_margin_too() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(2, 5, 6), dtype=np.uint8)
    assert with_margin(images, 2).shape == (2, 9, 10)
    assert np.array_equal(with_margin(images, 0), images)

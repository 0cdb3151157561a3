from __future__ import annotations

import copy

import numpy as np
import pytest

from cls_env import ImageDataset, load_dataset

IMAGES = np.zeros((4, 8, 8, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 0, 1])


def test_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown dataset 'glyph'; did you mean 'glyphs'\?"):
        load_dataset("glyph")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": IMAGES.astype(np.float32)}, "train images must be uint8"),
        ({"test_images": IMAGES[..., :1]}, "test images must be uint8 of shape"),
        ({"train_labels": LABELS[:3]}, "train labels must be 4 integers"),
        ({"test_labels": LABELS.astype(np.float64)}, "test labels must be 4 integers"),
        ({"train_labels": np.array([0, 1, 2, 1])}, r"train labels span 0 \.\.\. 2"),
        ({"test_images": np.zeros((4, 9, 8, 3), dtype=np.uint8)}, "must have one size"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, np.ndarray], message: str) -> None:
    arrays = {"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES, "test_labels": LABELS} | changes
    with pytest.raises(ValueError, match=message):
        ImageDataset("mine", **{name: array.copy() for name, array in arrays.items()}, class_names=("a", "b"))


def test_arguments_that_a_loader_lacks_are_named() -> None:
    with pytest.raises(ValueError, match=r"dataset 'folder': missing a required argument: 'root'"):
        load_dataset("folder")
    with pytest.raises(ValueError, match=r"dataset 'glyphs': .*'classes'; its arguments are \(num_classes"):
        load_dataset("glyphs", classes=3)


def test_arrays_of_the_caller_stay_writable() -> None:
    images, labels = IMAGES.copy(), LABELS.copy()
    ImageDataset("mine", images, labels, images, labels, ("a", "b"))
    images[0], labels[0] = 1, 1


def test_dataset_is_immutable_and_not_copied(glyphs: ImageDataset) -> None:
    assert copy.deepcopy(glyphs) is glyphs
    with pytest.raises(ValueError, match="read-only"):
        glyphs.train_images[0] = 0

from __future__ import annotations

import copy

import numpy as np
import pytest

from cls_env import DATASETS, ImageDataset, load_dataset
from cls_env.datasets import from_arrays, register_dataset, task_count

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
        ({"test_images": np.zeros((4, 9, 8, 3), dtype=np.uint8)}, "must have the same size"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, np.ndarray], message: str) -> None:
    arrays = {"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES, "test_labels": LABELS} | changes
    with pytest.raises(ValueError, match=message):
        ImageDataset("mine", **{name: array.copy() for name, array in arrays.items()}, class_names=("a", "b"))


@pytest.mark.parametrize("name", DATASETS)
def test_loader_of_each_card_is_found(name: str) -> None:
    assert callable(DATASETS[name].load_function())


def test_arguments_that_a_loader_lacks_are_named() -> None:
    with pytest.raises(ValueError, match=r"dataset 'folder' needs root"):
        load_dataset("folder")
    with pytest.raises(ValueError, match=r"argument of dataset 'glyphs' 'classes'; did you mean 'num_classes'"):
        load_dataset("glyphs", classes=3)


def test_arrays_of_the_caller_stay_writable() -> None:
    images, labels = IMAGES.copy(), LABELS.copy()
    ImageDataset("mine", images, labels, images, labels, ("a", "b"))
    images[0], labels[0] = 1, 1


def test_dataset_is_immutable_and_not_copied(glyphs: ImageDataset) -> None:
    assert copy.deepcopy(glyphs) is glyphs
    with pytest.raises(ValueError, match="read-only"):
        glyphs.train_images[0] = 0


def test_digits_are_real_scans() -> None:
    digits = load_dataset("digits")
    assert len(digits.train_images) + len(digits.test_images) == 1797
    assert digits.class_names == tuple("0123456789") and digits.train_images.shape[1:] == (36, 36, 3)
    assert np.array_equal(load_dataset("digits", seed=0).test_labels, digits.test_labels)


def test_one_call_registers_a_set() -> None:
    def load(size: int = 8) -> ImageDataset:
        return from_arrays(np.zeros((4, size, size), dtype=np.uint8), [0, 1, 0, 1], name="mine")

    try:
        register_dataset("mine", load, task_counts=(2,))
        assert load_dataset("mine").class_names == ("0", "1")
        assert task_count("mine", 9) == 2 and task_count("unheard of", 9) == 5 and task_count("mine", 1) == 1
        with pytest.raises(ValueError, match=r"argument of dataset 'mine' 'side'; did you mean 'size'"):
            load_dataset("mine", side=3)
        register_dataset("mine", lambda: load(4))
        assert load_dataset("mine").train_images.shape[1:] == (4, 4, 3)
        register_dataset("mine", lambda: (1, 2))
        with pytest.raises(ValueError, match="must return an ImageDataset, not a tuple"):
            load_dataset("mine")
        with pytest.raises(ValueError, match="the name 'glyphs' is taken"):
            register_dataset("glyphs", load)
        with pytest.raises(ValueError, match="its import path 'module:function', not 'nowhere'"):
            register_dataset("mine", "nowhere")
    finally:
        del DATASETS["mine"]


def test_arrays_are_split_class_by_class() -> None:
    images = np.arange(20 * 4 * 4 * 3, dtype=np.uint8).reshape(20, 4, 4, 3)
    dataset = from_arrays(images, np.repeat([0, 1], 10), test_fraction=0.3, class_names=["cat", "dog"])
    assert np.bincount(dataset.test_labels).tolist() == [3, 3] and dataset.class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((IMAGES, LABELS, IMAGES), "test_images and test_labels together"),
        ((IMAGES, LABELS[:2]), "there are 4 images but 2 labels"),
        ((IMAGES, LABELS / 2), "labels must be integers of shape"),
        ((IMAGES.astype(float), LABELS), "train images must be uint8"),
        ((IMAGES, LABELS + 1), "no training image has label 0, of 3"),
        ((IMAGES, LABELS - 1), "labels must be at least 0, but one is -1"),
        ((IMAGES[:, :0], LABELS), "train images must be uint8"),
    ],
)
def test_arrays_of_the_wrong_form(arrays: tuple[np.ndarray, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_arrays(*arrays)


def test_names_must_differ() -> None:
    with pytest.raises(ValueError, match=r"name 'a' is the name of class \[0, 1\]"):
        ImageDataset("mine", IMAGES, LABELS, IMAGES, LABELS, ("a", "a"))


def test_domains_must_fit() -> None:
    with pytest.raises(ValueError, match="train domains must be 4 integers, one for each image, not None"):
        ImageDataset("mine", IMAGES, LABELS, IMAGES, LABELS, ("a", "b"), domain_names=("x", "y"))
    with pytest.raises(ValueError, match=r"test domains span 0 \.\.\. 1"):
        ImageDataset("mine", IMAGES, LABELS, IMAGES, LABELS, ("a", "b"), 0 * LABELS, LABELS, ("x",))

"""Which images are for training and which for testing, where a set does not say so itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cls_env.arguments import name_list, number, whole_number
from cls_env.datasets.image_dataset import ImageDataset

TEST_SPLIT = 100  # a random stream apart from those of `TaskStream`


def check_fraction(test_fraction: float) -> float:
    """The share of a test split, as Python's float.

    Raises:
        ValueError: It is not a number in (0, 1).
    """
    if not 0 < number("test_fraction", test_fraction) < 1:
        raise ValueError(f"test_fraction is a share in (0, 1), not {test_fraction}")
    return number("test_fraction", test_fraction)


def stratified_split(
    labels: NDArray[np.int64], test_fraction: float, seed: int, class_names: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """Draw the test images, class by class, so that every class keeps its share in both splits.

    Args:
        labels: int64 of shape (N,).
        test_fraction: Share of each class that goes to the test split, in (0, 1), rounded, and at least one image on
            either side where the class has two.
        seed: Fixes the draw; each class has a random stream of its own.
        class_names: For messages.

    Returns:
        bool of shape (N,), True for test.

    Raises:
        ValueError: The share is out of range, or a class has a single image.
    """
    share = check_fraction(test_fraction)
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) < 2:
            name = label if class_names is None else class_names[label]
            raise ValueError(
                f"class {name!r} has a single image, too few for two splits; add images or remove the class"
            )
        count = min(max(round(share * len(rows)), 1), len(rows) - 1)
        test[np.random.default_rng([seed, TEST_SPLIT, int(label)]).permutation(rows)[:count]] = True
    return test


def from_arrays(
    images: ArrayLike,
    labels: ArrayLike,
    test_images: ArrayLike | None = None,
    test_labels: ArrayLike | None = None,
    *,
    test_fraction: float | None = None,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
) -> ImageDataset:
    """Make an image set of arrays.

    Args:
        images: uint8 of shape (N, H, W, 3), or (N, H, W) for grey images.
        labels: Integers of shape (N,).
        test_images: The test split of the same form; without one, a part of `images` is held out, class by class.
        test_labels: Its labels.
        test_fraction: Share of each class that is held out, in (0, 1), where there is no test split; by default 0.2.
        seed: Fixes which.
        class_names: A list with a name for each class; by default the labels themselves.
        name: For messages and records.

    Raises:
        ValueError: Only one of `test_images` and `test_labels` is given, or `test_fraction` beside them; or the arrays
            do not fit together.
    """
    if (test_images is None) != (test_labels is None):
        raise ValueError(f"{name}: give test_images and test_labels together, or neither")
    if test_images is not None and test_fraction is not None:
        raise ValueError(f"{name}: test_fraction={test_fraction} has no effect beside test_images: remove one of them")
    names = None if class_names is None else name_list("class_names", class_names)
    pixels, classes = _as_rgb(images, f"{name}: images"), _as_integers(labels, f"{name}: labels")
    if len(pixels) != len(classes):
        raise ValueError(f"{name}: {len(pixels)} images and {len(classes)} labels must be as many")
    if len(classes) and classes.min() < 0:
        raise ValueError(f"{name}: labels count the classes from 0, but one is {classes.min()}")
    if test_images is None:
        test = stratified_split(classes, 0.2 if test_fraction is None else test_fraction, whole_number("seed", seed, 0))
        splits = pixels[~test], classes[~test], pixels[test], classes[test]
    else:
        splits = (
            pixels,
            classes,
            _as_rgb(test_images, f"{name}: test images"),
            _as_integers(test_labels, f"{name}: test labels"),
        )
    count = int(max(splits[1].max(initial=-1), splits[3].max(initial=-1))) + 1
    if names is None and len(empty := np.setdiff1d(np.arange(count), splits[1])):
        raise ValueError(f"{name}: no training image has label {empty[0]}, of {count}; labels are 0 ... K - 1")
    return ImageDataset(name, *splits, tuple(map(str, range(count))) if names is None else names)


def _as_rgb(images: ArrayLike | None, what: str) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = _unmasked(images, what)
    if pixels.ndim not in (3, 4):
        raise ValueError(f"{what} must be of shape (N, H, W, 3), or (N, H, W) for grey ones, not {pixels.shape}")
    return np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 3 else pixels


def _unmasked(array: ArrayLike | None, what: str) -> NDArray[Any]:
    if np.ma.isMaskedArray(array):
        raise ValueError(f"{what} are a masked array, whose mask would be lost: select what counts first")
    try:
        return np.asarray(array)
    except ValueError as error:
        raise ValueError(f"{what} must be one array, with all images of one size: {error}") from error


def _as_integers(labels: ArrayLike | None, what: str) -> NDArray[np.int64]:
    given = _unmasked(labels, what)
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"{what} must be a row of integers, not {given.dtype} of shape {given.shape}")
    return given.astype(np.int64)

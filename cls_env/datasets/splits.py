"""Splits into training and test images, for datasets without a split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cls_env.arguments import name_list, number, whole_number
from cls_env.datasets.image_dataset import ImageDataset

DEFAULT_FRACTION = 0.2
"""Held out of a set of images without a test split, by default."""
TEST_SPLIT = 100  # key of a random generator that `TaskStream` does not use


def check_fraction(test_fraction: float) -> float:
    """Return the fraction of a test split as a Python float.

    Raises:
        ValueError: It is not a number in (0, 1).
    """
    if not 0 < number("test_fraction", test_fraction) < 1:
        raise ValueError(f"test_fraction must be in (0, 1), not {test_fraction}")
    return number("test_fraction", test_fraction)


def seeded_split(test_fraction: float | None, seed: int) -> tuple[float, int] | None:
    """Return the fraction and seed of a held-out test split, or None without a fraction.

    Raises:
        ValueError: The fraction is not in (0, 1), or the seed is not an integer of at least 0.
    """
    return None if test_fraction is None else (check_fraction(test_fraction), whole_number("seed", seed, 0))


def stratified_split(
    labels: NDArray[np.int64], test_fraction: float, seed: int, class_names: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """Choose the test images at random, with the same fraction of every class.

    Args:
        labels: int64 of shape (N,).
        test_fraction: Fraction of each class for the test split, in (0, 1), rounded, with at least one image of each
            class in both splits.
        seed: Seed of the choice. Each class has its own generator.
        class_names: Class names for messages.

    Returns:
        bool of shape (N,), True for test images.

    Raises:
        ValueError: The fraction is out of range, or a class has only one image.
    """

    def order(label: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.random.default_rng([seed, TEST_SPLIT, label]).permutation(rows)

    return _held_out(labels, test_fraction, class_names, order)


def held_out_by_name(
    names: Sequence[str], labels: NDArray[np.int64], test_fraction: float, seed: int, class_names: Sequence[str]
) -> NDArray[np.bool_]:
    """Choose the test images by a hash of their names, with the same fraction of every class.

    Unlike the choice of `stratified_split`, that in one class does not depend on the other classes, and images that are
    added to a class hardly change it.

    Args:
        names: Name of each image, with that of its class.
        labels: int64 of shape (N,).
        test_fraction: As in `stratified_split`.
        seed: Is hashed too.
        class_names: Class names for messages.

    Returns:
        bool of shape (N,), True for test images.

    Raises:
        ValueError: The fraction is out of range, or a class has only one image.
    """
    keys = [sha256(f"{seed} {name}".encode(errors="surrogateescape")).digest() for name in names]

    def order(label: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array(sorted(rows, key=lambda row: keys[row]), dtype=np.int64)

    return _held_out(labels, test_fraction, class_names, order)


def _held_out(
    labels: NDArray[np.int64],
    test_fraction: float,
    class_names: Sequence[str] | None,
    order: Callable[[int, NDArray[np.int64]], NDArray[np.int64]],
) -> NDArray[np.bool_]:
    """The first images of each class in an order of its rows, bool of shape (N,)."""
    share = check_fraction(test_fraction)
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) < 2:
            name = label if class_names is None else class_names[label]
            raise ValueError(
                f"class {name!r} has only one image, too few for two splits; add images or remove the class"
            )
        count = min(max(round(share * len(rows)), 1), len(rows) - 1)
        test[order(int(label), rows)[:count]] = True
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
    """Make a dataset from arrays.

    Args:
        images: uint8 of shape (N, H, W, 3), or (N, H, W) for gray images.
        labels: Integers of shape (N,).
        test_images: Images of the test split. By default a fraction of `images` is held out.
        test_labels: Labels of the test split.
        test_fraction: Fraction of each class to hold out, in (0, 1), if there is no test split. Defaults to 0.2.
        seed: Seed of the held-out test split.
        class_names: A list of class names. Defaults to the labels.
        name: Name of the dataset, for messages and records.

    Raises:
        ValueError: The arrays do not fit together, or `test_fraction` is combined with `test_images`.
    """
    if (test_images is None) != (test_labels is None):
        raise ValueError(f"{name}: give test_images and test_labels together, or neither")
    if test_images is not None and test_fraction is not None:
        raise ValueError(f"{name}: test_fraction={test_fraction} has no effect with test_images: remove one of them")
    names = None if class_names is None else name_list("class_names", class_names)
    pixels, classes = _as_rgb(images, f"{name}: images"), _as_integers(labels, f"{name}: labels")
    if len(pixels) != len(classes):
        raise ValueError(f"{name}: there are {len(pixels)} images but {len(classes)} labels")
    if len(classes) and classes.min() < 0:
        raise ValueError(f"{name}: labels must be at least 0, but one is {classes.min()}")
    if test_images is None:
        test = stratified_split(
            classes, DEFAULT_FRACTION if test_fraction is None else test_fraction, whole_number("seed", seed, 0)
        )
        splits = pixels[~test], classes[~test], pixels[test], classes[test]
    else:
        test_pixels = _as_rgb(test_images, f"{name}: test images")
        splits = pixels, classes, test_pixels, _as_integers(test_labels, f"{name}: test labels")
    count = int(max(splits[1].max(initial=-1), splits[3].max(initial=-1))) + 1
    if names is None and len(empty := np.setdiff1d(np.arange(count), splits[1])):
        raise ValueError(f"{name}: no training image has label {empty[0]}, of {count}; labels are 0 ... K - 1")
    return ImageDataset(name, *splits, tuple(map(str, range(count))) if names is None else names)


def _as_rgb(images: ArrayLike | None, what: str) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = _unmasked(images, what)
    if pixels.ndim not in (3, 4):
        raise ValueError(f"{what} must be of shape (N, H, W, 3), or (N, H, W) for gray ones, not {pixels.shape}")
    return np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 3 else pixels


def _unmasked(array: ArrayLike | None, what: str) -> NDArray[Any]:
    if np.ma.isMaskedArray(array):
        raise ValueError(f"{what} are a masked array, whose mask would be lost: select the valid images first")
    try:
        return np.asarray(array)
    except ValueError as error:
        raise ValueError(f"{what} must be one array, with all images of one size: {error}") from error


def _as_integers(labels: ArrayLike | None, what: str) -> NDArray[np.int64]:
    given = _unmasked(labels, what)
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"{what} must be integers of shape (N,), not {given.dtype} of shape {given.shape}")
    return given.astype(np.int64)

"""Which training images a stream uses: validation split, cap per class, and long tail.

Sizes and counts are int64 of shape (D, K): the images of K classes in each of D domains (D = 1 without domains).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
CountRule = Callable[[Indices], Indices]


def training_rows(
    cells: Indices,
    shape: tuple[int, int],
    num_pictures: int,
    validation_fraction: float,
    max_per_class: int | None,
    imbalance_factor: float,
    generators: tuple[np.random.Generator, np.random.Generator, np.random.Generator],
    own_validation: Indices | None = None,
) -> tuple[Indices, Indices]:
    """Choose the training rows: hold out validation images, then cap each class, then make a long tail.

    Args:
        cells: domain * K + class of each training image, int64 of shape (N,).
        shape: (D, K).
        num_pictures: Number of distinct images: N, or N / D if each domain repeats the same images in the same order.
            An image held out in one domain is held out in all.
        validation_fraction: Fraction of each class to hold out, in [0, 1).
        max_per_class: Maximum number of images per class, at least 1. None keeps all.
        imbalance_factor: Ratio of the sizes of class 0 and class K - 1, at least 1.
        generators: Random generators for validation, cap and long tail.
        own_validation: Validation rows of the dataset itself, int64, ascending. Excludes `validation_fraction`.

    Returns:
        The training rows and the validation rows, int64, ascending.

    Raises:
        ValueError: An argument is out of range, or the dataset has its own validation split and
            `validation_fraction` is given.
    """
    _check_ranges(validation_fraction, max_per_class, imbalance_factor, own_validation)
    rows = np.arange(len(cells))
    validation = rows[:0] if own_validation is None else own_validation
    train = np.setdiff1d(rows, validation, assume_unique=True)

    def select(rule: CountRule, generator: np.random.Generator) -> tuple[Indices, Indices]:
        priorities = np.tile(generator.permutation(num_pictures), len(cells) // num_pictures)
        return choose(train, cells, shape, rule, priorities)

    for_validation, for_cap, for_tail = generators
    if validation_fraction:
        validation, train = select(partial(hold_out, fraction=validation_fraction), for_validation)
    if max_per_class is not None:
        train, _ = select(partial(cap, limit=max_per_class), for_cap)
    if imbalance_factor > 1:
        train, _ = select(partial(long_tail, factor=imbalance_factor), for_tail)
    return train, validation


def hold_out(sizes: Indices, fraction: float) -> Indices:
    """Number of images to hold out of each class: the fraction, rounded, but never a whole class.

    >>> hold_out(np.array([[10, 5, 1, 0]]), 0.3).tolist()
    [[3, 2, 0, 0]]
    """
    held = np.rint(fraction * sizes).astype(np.int64)
    return np.clip(held, 0, np.maximum(sizes - 1, 0))


def cap(sizes: Indices, limit: int) -> Indices:
    """Number of images to keep of each class: at most `limit`."""
    return np.minimum(sizes, min(limit, int(sizes.max(initial=0))))  # NumPy takes no limit beyond int64


def long_tail(sizes: Indices, factor: float) -> Indices:
    """Number of images to keep of each class, so that class 0 has about `factor` times as many as class K - 1.

    Class k keeps n_max * factor**(-k / (K - 1)) images, rounded down, at least 1 and at most its size. n_max is the
    size of the largest class of the domain.
    Source: Cui et al., "Class-balanced loss based on effective number of samples", CVPR 2019
    (https://arxiv.org/abs/1901.05555).

    Args:
        sizes: int64 of shape (D, K).
        factor: At least 1. With 1 all images are kept.

    >>> long_tail(np.full((1, 10), 5000), 100).tolist()
    [[5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]]
    """
    num_classes = sizes.shape[1]
    ratios = factor ** (np.arange(num_classes) / max(num_classes - 1, 1))
    # Where the formula gives a whole number, the rounding error of the power must not cost an image.
    kept = np.floor(sizes.max(axis=1, keepdims=True) / ratios + 1e-6).astype(np.int64)
    return np.minimum(sizes, np.maximum(kept, 1))


def choose(
    rows: Indices, cells: Indices, shape: tuple[int, int], rule: CountRule, priorities: Indices
) -> tuple[Indices, Indices]:
    """Split rows into chosen rows and the rest. The rule sets how many rows of each class are chosen.

    Priorities belong to all images, so the choice within a class does not depend on the other classes, and a larger
    count chooses the same rows and more.

    Args:
        rows: The rows to split, int64, ascending.
        cells: domain * K + class of all images, int64 of shape (N,).
        shape: (D, K).
        rule: Maps the sizes of the classes to the numbers of rows to choose, both of shape (D, K).
        priorities: int64 of shape (N,), distinct within a class. The lowest are chosen.

    Returns:
        The chosen rows and the rest, ascending.
    """
    own = cells[rows]
    sizes = np.bincount(own, minlength=shape[0] * shape[1])
    order = np.lexsort((priorities[rows], own))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen = rank < rule(sizes.reshape(shape)).ravel()[own]
    return rows[chosen], rows[~chosen]


def _check_ranges(
    validation_fraction: float, max_per_class: int | None, imbalance_factor: float, own_validation: Indices | None
) -> None:
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"validation_fraction must be in [0, 1), not {validation_fraction}")
    if validation_fraction and own_validation is not None:
        raise ValueError(
            f"the dataset has its own validation split, of {len(own_validation)} images: remove "
            f"validation_fraction={validation_fraction}"
        )
    if max_per_class is not None and max_per_class < 1:
        raise ValueError(f"max_per_class must be at least 1, not {max_per_class}; None keeps every image")
    if not 1 <= imbalance_factor < np.inf:
        raise ValueError(
            f"imbalance_factor, the size of the largest class over that of the smallest, must be a number of at "
            f"least 1, not {imbalance_factor}"
        )

"""Which training images a stream learns from: a part held out for validation, a cap on each class, a long tail.

Sizes and counts are int64 of shape (D, K): the images of K classes in each of D domains (D = 1 where there are none).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


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
    """Choose the rows that are learned from: hold out, then cap, then thin to a long tail.

    Args:
        cells: domain * K + class of each training image, int64 of shape (N,).
        shape: (D, K).
        num_pictures: N, or where the same pictures come again in each domain, in one order, how many they are: what
            is held out in one domain is then held out in all, and no validation picture is trained on.
        validation_fraction: Share of each class that is held out, in [0, 1).
        max_per_class: The most images of a class, at least 1; None keeps all.
        imbalance_factor: Images of class 0 for each of class K - 1, at least 1.
        generators: One each for validation, cap and long tail.
        own_validation: Rows that the image set itself holds out, int64, ascending; not with `validation_fraction`.

    Returns:
        The rows for training and those for validation, int64, ascending.

    Raises:
        ValueError: A number is out of range, or a share is to be held out of a set with a validation split of its own.
    """
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"validation_fraction is a share in [0, 1), not {validation_fraction}")
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
    train = np.arange(len(cells))
    validation = train[:0] if own_validation is None else own_validation
    train = np.setdiff1d(train, validation, assume_unique=True)

    def select(rule: Callable[[Indices], Indices], generator: np.random.Generator) -> tuple[Indices, Indices]:
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
    """How many images of each class to hold out: the share, rounded, but never all of a class.

    >>> hold_out(np.array([[10, 5, 1, 0]]), 0.3).tolist()
    [[3, 2, 0, 0]]
    """
    held = np.rint(fraction * sizes).astype(np.int64)
    return np.clip(held, 0, np.maximum(sizes - 1, 0))


def cap(sizes: Indices, limit: int) -> Indices:
    """How many images of each class to keep: at most `limit`."""
    return np.minimum(sizes, limit)


def long_tail(sizes: Indices, factor: float) -> Indices:
    """How many images of each class to keep so that class 0 has about `factor` times as many as class K - 1.

    Class k keeps n_max * factor**(-k / (K - 1)), rounded down, but at least 1 and at most what it has; n_max is the
    size of the largest class, in each domain its own.
    Source: Cui et al., "Class-balanced loss based on effective number of samples", CVPR 2019.

    Args:
        sizes: int64 of shape (D, K).
        factor: At least 1; 1 keeps everything.

    >>> long_tail(np.full((1, 10), 5000), 100).tolist()
    [[5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]]
    """
    num_classes = sizes.shape[1]
    ratios = factor ** (np.arange(num_classes) / max(num_classes - 1, 1))
    # Where the formula gives a whole number, the rounding error of the power must not cost an image.
    kept = np.floor(sizes.max(axis=1, keepdims=True) / ratios + 1e-6).astype(np.int64)
    return np.minimum(sizes, np.maximum(kept, 1))


def choose(
    rows: Indices,
    cells: Indices,
    shape: tuple[int, int],
    rule: Callable[[Indices], Indices],
    priorities: Indices,
) -> tuple[Indices, Indices]:
    """Divide rows into those that a rule of counts takes and the rest.

    Every row there is has a priority, so the choice within a class does not hang on what else is chosen, and a larger
    count takes the same rows and some more.

    Args:
        rows: Those to divide, int64, ascending.
        cells: domain * K + class of every row there is, int64 of shape (N,).
        shape: (D, K).
        rule: From sizes, how many to take.
        priorities: int64 of shape (N,), different within a cell; the lowest are taken.

    Returns:
        The rows taken and the rest, ascending.
    """
    own = cells[rows]
    sizes = np.bincount(own, minlength=shape[0] * shape[1])
    order = np.lexsort((priorities[rows], own))
    place = np.empty_like(order)
    place[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    taken = place < rule(sizes.reshape(shape)).ravel()[own]
    return rows[taken], rows[~taken]

"""Label noise: symmetric, pair flips, and class-dependent noise by a transition matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cls_env.arguments import number, real_array, regular_list
from cls_env.specification import lookup

Indices = NDArray[np.int64]
ShareNoise = Callable[[Indices, Indices, float, np.random.Generator], Indices]
NoiseRule = Callable[[Indices, Indices, np.random.Generator], Indices]


def symmetric(labels: Indices, classes: Indices, share: float, generator: np.random.Generator) -> Indices:
    """Replace a fraction of the labels by another class of the task, uniformly at random.

    Args:
        labels: int64 of shape (N,), each one of `classes`.
        classes: Labels of the task, int64, ascending, at least two.
        share: Fraction of labels to replace, in [0, 1), exact up to rounding.
        generator: Draws the rows and their new labels.

    Returns:
        The new labels, int64 of shape (N,).
    """
    flipped = _random_rows(len(labels), share, generator)
    return _shift_labels(labels, classes, flipped, generator.integers(1, len(classes), size=len(flipped)))


def pair_flip(labels: Indices, classes: Indices, share: float, generator: np.random.Generator) -> Indices:
    """Replace a fraction of the labels by the next class of the task. The last class becomes the first.

    Arguments and result are those of `symmetric`. With the same generator state, the same rows are replaced.
    Source: Han et al., "Co-teaching", NeurIPS 2018 (https://arxiv.org/abs/1804.06872).
    """
    return _shift_labels(labels, classes, _random_rows(len(labels), share, generator), 1)


def transition(
    labels: Indices, classes: Indices, matrix: NDArray[np.float64], generator: np.random.Generator
) -> Indices:
    """Label a fraction `matrix[i, j]` of the images of `classes[i]` as `classes[j]`.

    The counts are exact up to rounding by `largest_remainder`. The images are random.
    Source: Patrini et al., "Making deep neural networks robust to label noise", CVPR 2017
    (https://arxiv.org/abs/1609.03683).

    Args:
        labels: int64 of shape (N,), each one of `classes`.
        classes: Labels of the task, int64 of shape (C,).
        matrix: float64 of shape (C, C). Rows sum to 1.
        generator: Draws the rows.

    Returns:
        The new labels, int64 of shape (N,).
    """
    noisy = labels.copy()
    for label, shares in zip(classes, matrix, strict=True):
        rows = generator.permutation(np.flatnonzero(labels == label))
        noisy[rows] = np.repeat(classes, largest_remainder(len(rows), shares))
    return noisy


NOISE_TYPES: dict[str, ShareNoise] = {
    "symmetric": symmetric,
    "pair-flip": pair_flip,
}


def as_noise(given: ArrayLike) -> float | NDArray[np.float64]:
    """Convert a fraction to a float, or a transition matrix to a float64 array.

    Raises:
        ValueError: A value is not a number.
    """
    if regular_list("label_noise", given).ndim == 0:
        return number("label_noise", given)
    return real_array("label_noise", given)


def noise_rule(
    noise: float | NDArray[np.float64], noise_type: str, class_order: Indices, class_names: Sequence[str]
) -> NoiseRule:
    """Make the function that adds noise to the labels of a task.

    Args:
        noise: A fraction in [0, 1), or a transition matrix of shape (K, K) in original classes: [i, j] is the fraction
            of class i's images that are labeled j.
        noise_type: A key of `NOISE_TYPES`, used if `noise` is a fraction.
        class_order: Original class of each label, int64 of shape (K,).
        class_names: Name of each label, for messages.

    Returns:
        A function (labels, classes of their task, generator) that returns the noisy labels. It raises ValueError if a
        label would change to a class of another task.

    Raises:
        ValueError: The fraction is out of range, the matrix is not a transition matrix, or the type is unknown.
    """
    flip = lookup("noise_type", noise_type, NOISE_TYPES)
    if isinstance(noise, float):
        return _rule_of_share(noise, flip, class_names)
    if noise_type != "symmetric":
        raise ValueError(f"noise_type={noise_type!r} can't be combined with a label_noise matrix: remove noise_type")
    return _rule_of_matrix(noise, class_order, class_names)


def largest_remainder(total: int, shares: NDArray[np.float64]) -> Indices:
    """Round `total * shares` to integers that sum to `total`, by the largest remainder method.

    Args:
        total: Number to distribute.
        shares: float64 of shape (C,), not negative, sum 1.

    Returns:
        int64 of shape (C,). Of equal remainders, the larger share is rounded up, then the first.

    >>> largest_remainder(10, np.array([0.84, 0.0, 0.16])).tolist()
    [8, 0, 2]
    """
    exact = np.round(total * shares, 9)  # so that 30 * 0.1 is 3 despite rounding errors
    counts = np.floor(exact).astype(np.int64)
    order = np.lexsort((-shares, np.round(counts - exact, 9)))
    counts[order[: total - counts.sum()]] += 1
    return counts


def _rule_of_share(share: float, flip: ShareNoise, class_names: Sequence[str]) -> NoiseRule:
    if not 0 <= share < 1:
        raise ValueError(f"label_noise must be in [0, 1), not {share}")

    def rule(labels: Indices, classes: Indices, generator: np.random.Generator) -> Indices:
        if share == 0:
            return labels
        if len(classes) < 2:
            raise ValueError(
                f"label_noise flips labels within a task, but a task has only one class, {class_names[classes[0]]!r}"
            )
        return flip(labels, classes, share, generator)

    return rule


def _rule_of_matrix(given: NDArray[np.float64], class_order: Indices, class_names: Sequence[str]) -> NoiseRule:
    matrix = _checked_matrix(given, len(class_order))[np.ix_(class_order, class_order)]

    def rule(labels: Indices, classes: Indices, generator: np.random.Generator) -> Indices:
        leaving = matrix[classes]
        leaving[:, classes] = 0
        if leaving.any():
            row, target = np.argwhere(leaving)[0]
            source = classes[row]
            raise ValueError(
                f"label_noise[{class_order[source]}, {class_order[target]}] labels images of {class_names[source]!r} "
                f"as {class_names[target]!r}, a class of another task; noise stays within a task"
            )
        return transition(labels, classes, matrix[np.ix_(classes, classes)], generator)

    return rule


def _random_rows(count: int, share: float, generator: np.random.Generator) -> Indices:
    return generator.permutation(count)[: round(share * count)]


def _shift_labels(labels: Indices, classes: Indices, rows: Indices, offsets: Indices | int) -> Indices:
    noisy = labels.copy()
    noisy[rows] = classes[(np.searchsorted(classes, labels[rows]) + offsets) % len(classes)]
    return noisy


def _checked_matrix(matrix: NDArray[np.float64], num_classes: int) -> NDArray[np.float64]:
    if matrix.shape != (num_classes, num_classes):
        raise ValueError(
            f"label_noise must be a number or a matrix [class, label] of shape ({num_classes}, {num_classes}), "
            f"not of shape {matrix.shape}"
        )
    if not (matrix >= 0).all():
        row, column = np.argwhere(~(matrix >= 0))[0]
        raise ValueError(f"label_noise[{row}, {column}] must be in [0, 1], not {matrix[row, column]}")
    sums = matrix.sum(axis=1)
    if not np.allclose(sums, 1, rtol=0, atol=1e-6):
        row = np.abs(sums - 1).argmax()
        raise ValueError(f"row {row} of label_noise sums to {sums[row]:g}; each row must sum to 1")
    return np.asarray(matrix / sums[:, None])

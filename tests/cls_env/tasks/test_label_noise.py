from __future__ import annotations

import numpy as np
import pytest

from cls_env.tasks.label_noise import largest_remainder, noise_rule, pair_flip, symmetric, transition

SEEDS = range(4)
CLASSES = np.arange(3, 7)
ORDER = np.array([2, 0, 3, 1])
NAMES = ("cat", "ant", "dog", "bee")  # of the labels; by original class: ant, bee, cat, dog


def labels_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice(CLASSES, size=97)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("share", [0.05, 0.3, 0.99])
def test_a_share_is_flipped_exactly_within_the_task(seed: int, share: float) -> None:
    labels = labels_of(seed)
    before = labels.copy()
    for flip in (symmetric, pair_flip):
        noisy = flip(labels, CLASSES, share, np.random.default_rng(seed))
        assert (noisy != labels).sum() == round(share * 97)
        assert set(noisy) <= set(CLASSES)
    assert np.array_equal(labels, before)


def test_symmetric_noise_is_uniform_over_the_other_classes() -> None:
    labels = np.full(30_000, 4)
    noisy = symmetric(labels, CLASSES, 0.9, np.random.default_rng(0))
    counts = np.bincount(noisy, minlength=7)[CLASSES]
    assert counts[1] == 3000
    assert np.abs(counts[[0, 2, 3]] - 9000).max() < 4 * np.sqrt(27_000 * (1 / 3) * (2 / 3))


@pytest.mark.parametrize("seed", SEEDS)
def test_pair_flip_goes_to_the_next_class_and_round(seed: int) -> None:
    labels = labels_of(seed)
    noisy = pair_flip(labels, CLASSES, 0.4, np.random.default_rng(seed))
    flipped = noisy != labels
    following = {3: 4, 4: 5, 5: 6, 6: 3}
    assert [following[label] for label in labels[flipped]] == noisy[flipped].tolist()
    assert np.array_equal(flipped, symmetric(labels, CLASSES, 0.4, np.random.default_rng(seed)) != labels)


@pytest.mark.parametrize("seed", SEEDS)
def test_transition_gives_each_class_its_row(seed: int) -> None:
    matrix = np.array([[0.7, 0.3, 0, 0], [0, 1, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.1, 0, 0, 0.9]])
    labels = np.random.default_rng(seed).permutation(np.repeat(CLASSES, [10, 8, 6, 5]))
    noisy = transition(labels, CLASSES, matrix, np.random.default_rng(seed))
    counts = [np.bincount(noisy[labels == label], minlength=7)[CLASSES].tolist() for label in CLASSES]
    # Of 1.5 four times the first two are rounded up; of 0.5 and 4.5 that of the larger share.
    assert counts == [[7, 3, 0, 0], [0, 8, 0, 0], [2, 2, 1, 1], [0, 0, 0, 5]]


def test_transition_draws_which_rows_flip() -> None:
    labels = np.repeat(CLASSES, 20)
    matrix = np.full((4, 4), 0.25)
    first, second = (transition(labels, CLASSES, matrix, np.random.default_rng(seed)) for seed in (0, 1))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("seed", range(20))
def test_largest_remainder_sums_to_the_total_and_rounds_to_a_neighbour(seed: int) -> None:
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(7, 0.5))
    shares[random.integers(7)] = 0
    shares /= shares.sum()
    total = int(random.integers(0, 300))
    counts = largest_remainder(total, shares)
    assert counts.sum() == total
    assert (np.abs(counts - total * shares) < 1).all()
    assert (counts[shares == 0] == 0).all()


@pytest.mark.parametrize("total", [10, 30, 70, 110, 1_000_000])
def test_largest_remainder_is_exact_where_shares_are(total: int) -> None:
    assert largest_remainder(total, np.array([0.1, 0.2, 0.7])).tolist() == [total // 10, total // 5, total * 7 // 10]


def test_matrix_is_in_original_classes() -> None:
    matrix = np.eye(4)
    matrix[0] = [0, 1, 0, 0]  # every ant is called a bee
    rule = noise_rule(matrix, "symmetric", ORDER, NAMES)
    ant, bee = 1, 3
    noisy = rule(np.array([0, 1, 2, 3, 1]), np.arange(4), np.random.default_rng(0))
    assert noisy.tolist() == [0, bee, 2, bee, bee]
    with pytest.raises(ValueError, match=r"label_noise\[0, 1\] labels images of 'ant' as 'bee'"):
        rule(np.array([ant]), np.array([0, 1]), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("noise", "noise_type", "message"),
    [
        (1.0, "symmetric", r"must be in \[0, 1\), not 1.0"),
        (-0.1, "symmetric", "must be in"),
        (float("nan"), "symmetric", "must be in"),
        (0.1, "pairflip", "unknown noise_type 'pairflip'; did you mean 'pair-flip'"),
        (np.eye(4), "pair-flip", "noise_type='pair-flip' can't be combined with a label_noise matrix"),
        (np.eye(3), "symmetric", r"of shape \(4, 4\), not of shape \(3, 3\)"),
        (np.full(4, 0.25), "symmetric", r"not of shape \(4,\)"),
        (np.eye(4) * 0.9, "symmetric", "row 0 of label_noise sums to 0.9"),
        (np.eye(4) + np.diag([0, -0.5, 0], 1), "symmetric", r"label_noise\[1, 2\] must be in \[0, 1\], not -0.5"),
        (np.where(np.eye(4) > 0, np.nan, 0), "symmetric", r"label_noise\[0, 0\] must be .* not nan"),
    ],
)
def test_noise_that_is_none_is_refused(noise: float | np.ndarray, noise_type: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        noise_rule(noise, noise_type, ORDER, NAMES)

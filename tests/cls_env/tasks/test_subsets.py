from __future__ import annotations

import numpy as np
import pytest

from cls_env.tasks.subsets import cap, hold_out, long_tail, training_rows

SEEDS = range(4)


def divide(
    cells: np.ndarray,
    shape: tuple[int, int],
    fraction: float = 0.0,
    limit: int | None = None,
    factor: float = 1.0,
    seed: int = 0,
    num_pictures: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    generators = tuple(np.random.default_rng([seed, stream]) for stream in range(3))
    return training_rows(cells, shape, num_pictures or len(cells), fraction, limit, factor, generators)


def cells_of(seed: int, sizes: list[int]) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


def test_hold_out_rounds_but_leaves_one() -> None:
    assert hold_out(np.array([[10, 7, 2, 1, 0]]), 0.5).tolist() == [[5, 4, 1, 0, 0]]  # 3.5 goes to the even 4
    assert hold_out(np.array([[10, 7, 2, 1, 0]]), 0.99).tolist() == [[9, 6, 1, 0, 0]]


def test_cap_is_a_minimum() -> None:
    assert cap(np.array([[10, 3], [0, 4]]), 4).tolist() == [[4, 3], [0, 4]]


@pytest.mark.parametrize(
    ("size", "factor", "expected"),
    [
        (100, 100, [100, 10, 1]),
        (100, 4, [100, 50, 25]),
        (90, 9, [90, 30, 10]),
        (10, 1000, [10, 1, 1]),
        (7, 1, [7, 7, 7]),
    ],
)
def test_long_tail_of_equal_classes(size: int, factor: float, expected: list[int]) -> None:
    assert long_tail(np.full((1, 3), size), factor).tolist() == [expected]


def test_long_tail_never_keeps_more_than_there_is_and_counts_by_domain() -> None:
    assert long_tail(np.array([[50, 100, 5], [16, 0, 16]]), 4).tolist() == [[50, 50, 5], [16, 0, 4]]
    assert long_tail(np.array([[9]]), 10).tolist() == [[9]]


@pytest.mark.parametrize(("base", "num_classes"), [(2, 6), (2, 11), (3, 8), (10, 4)])
def test_long_tail_loses_no_image_to_rounding(base: int, num_classes: int) -> None:
    powers = [base**power for power in reversed(range(num_classes))]
    assert long_tail(np.full((1, num_classes), powers[0]), powers[0]).tolist() == [powers]


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_by_hand(seed: int) -> None:
    cells = cells_of(seed, [20, 10, 4])
    train, validation = divide(cells, (1, 3), fraction=0.25, limit=12, factor=4, seed=seed)
    # 20, 10, 4 -> 5, 2, 1 held out -> 15, 8, 3 -> capped 12, 8, 3 -> long tail min(12, 12), min(8, 6), min(3, 3)
    assert np.bincount(cells[validation]).tolist() == [5, 2, 1]
    assert np.bincount(cells[train]).tolist() == [12, 6, 3]
    assert not set(train) & set(validation)
    for rows in (train, validation):
        assert rows.dtype == np.int64
        assert (np.diff(rows) > 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_larger_count_takes_the_same_rows_and_some_more(seed: int) -> None:
    cells = cells_of(seed, [30, 30, 30])

    def train(**options: float) -> set[int]:
        return set(divide(cells, (1, 3), seed=seed, **options)[0])

    assert train(limit=5) < train(limit=11) < train()
    assert train(factor=9) < train(factor=2) < train()
    assert train(fraction=0.5) < train(fraction=0.1) < train()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_choice_in_a_class_does_not_depend_on_the_other_classes(seed: int) -> None:
    cells = cells_of(seed, [20, 20, 20])
    merged = np.minimum(cells, 1)
    separate, together = (divide(part, (1, 3), limit=6, seed=seed)[0] for part in (cells, merged))
    assert np.array_equal(separate[cells[separate] == 0], together[cells[together] == 0])


def test_seeds_choose_differently_and_repeat() -> None:
    cells = cells_of(0, [40, 40])
    chosen = [tuple(divide(cells, (1, 2), limit=10, seed=seed)[0]) for seed in (0, 1, 0)]
    assert chosen[0] == chosen[2] != chosen[1]


def test_a_picture_seen_in_every_domain_is_held_out_of_all() -> None:
    pictures = cells_of(0, [12, 8])
    cells = np.concatenate([pictures + 2 * domain for domain in range(3)])
    train, validation = divide(cells, (3, 2), fraction=0.25, num_pictures=20)
    assert np.bincount(cells[validation]).tolist() == [3, 2] * 3
    assert not set(train % 20) & set(validation % 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": 1.0}, r"validation_fraction must be in \[0, 1\), not 1.0"),
        ({"fraction": -0.1}, "validation_fraction"),
        ({"limit": 0}, "max_per_class must be at least 1, not 0"),
        ({"factor": 0.5}, "imbalance_factor.* least 1, not 0.5"),
        ({"factor": float("nan")}, "imbalance_factor"),
        ({"factor": float("inf")}, "imbalance_factor"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        divide(np.array([0, 1]), (1, 2), **options)

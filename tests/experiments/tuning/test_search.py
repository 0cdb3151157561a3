"""Searches choose the same trials whenever they are told the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments.config.tuning import TuneConfig
from experiments.tuning.rounds import halving_stages
from experiments.tuning.search import Search, Trial, search_of
from experiments.tuning.space import space_of

SPACE = space_of("gce:q=0.2..0.8", (1e-4, 1e-1))
BEST = 3e-3


def accuracy(trial: Trial) -> float:
    """High near the best rate."""
    return float(max(0, 1 - abs(np.log(trial.point.learning_rate / BEST)) / 4))


def searched(trials: int = 16, size: int = 4, **settings: Any) -> list[Trial]:
    search = search_of(SPACE, TuneConfig(trials=trials, **settings))
    asked: list[Trial] = []
    while len(asked) < trials:
        asked += (now := search.ask(size))
        for trial in now:
            search.tell(trial, accuracy(trial))
    return asked


@pytest.mark.parametrize("search", ["random", "tpe"])
def test_the_seed_and_the_results_decide(search: Any) -> None:
    pytest.importorskip("optuna")
    trials = searched(search=search)
    assert trials == searched(search=search) != searched(search=search, search_seed=1)
    assert [trial.number for trial in trials] == list(range(16))
    rates = np.array([trial.point.learning_rate for trial in trials])
    assert 1e-4 <= rates.min() < rates.max() <= 1e-1


def test_tpe_comes_closer_than_random_search() -> None:
    pytest.importorskip("optuna")
    tpe, at_random = ([accuracy(trial) for trial in searched(40, 1, search=each)] for each in ("tpe", "random"))
    assert np.mean(tpe[20:]) > np.mean(at_random[20:]) + 0.1


def test_a_grid_ends_when_all_is_tried() -> None:
    search = search_of(SPACE, TuneConfig(trials=9))
    trials = [*search.ask(6), *search.ask(6)]
    assert len(trials) == 9 and len({trial.point for trial in trials}) == 9
    assert search.keep(dict.fromkeys(trials, 0.0), 1) == trials


def kept(search: Search, trials: list[Trial], tasks: int, values: list[float]) -> list[int]:
    return [trial.number for trial in search.keep(dict(zip(trials, values, strict=True)), tasks)]


@pytest.mark.parametrize("order", [1, -1])
def test_halving_lets_the_best_third_of_all_so_far_go_on(order: int) -> None:
    pytest.importorskip("optuna")
    search = search_of(SPACE, TuneConfig(trials=18, search="random", halving=3))
    assert kept(search, search.ask(9)[::order], 1, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1][::order])[::order] == [
        0,
        1,
        2,
    ]
    assert kept(search, search.ask(9), 1, [0.85, 0.75, 0.65, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]) == [9, 10, 11]
    assert halving_stages(3, 10) == [1, 3, 9]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rates": (1e-2, 1e-3)}, "--rates takes the lowest and the highest rate, not 0.01 0.001"),
        ({"rates": (0.0, 1e-3)}, r"--rates must be in \(0, inf\)"),
        ({"halving": 3}, "--halving needs --search random or tpe"),
        ({"halving": 1, "search": "tpe"}, "--halving must be a whole number of at least 2"),
        ({"trials": 10**9}, "--trials is 1,000,000,000, more than 10,000"),
        ({"seeds": ()}, "--seeds names no seed"),
        ({"search_seed": 2**32}, "--search-seed must be below"),
        ({"trials": 0}, "--trials must be a whole number of at least 1"),
        ({"seeds": (1, 100)}, "seed 100 is to tune and to compare"),
        ({"tuning_seeds": ()}, "--tuning-seeds names no seed"),
        ({"tuning_fraction": 1.0}, r"--tuning-fraction must be in \(0, 1\)"),
        ({"validation_fraction": 0.2}, "give --tuning-fraction"),
        ({"early_stopping": True, "validation_fraction": 0.0}, "--early-stopping"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TuneConfig(**changes)

"""Interquartile means, the probability of improvement, and the numbers of the leaderboard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from experiments.report_page.aggregates import interquartile_means, probability_of_larger
from experiments.report_page.collect import Run
from experiments.report_page.contenders import Row
from experiments.report_page.leaderboard import measures_of, pairs, summaries
from experiments.reports.statistics import FEWEST_FOR_BOOTSTRAP
from experiments.runs.measures import MEASURES
from experiments.runs.run_folder import RunFolder


def run_of(seed: int, **metrics: object) -> Run:
    return Run(RunFolder(Path("nowhere")), {"seed": seed}, {}, metrics, np.array([[1.0]]))


def row_of(values: dict[int, object], measure: str = "final_accuracy") -> Row:
    return Row(0, "x", "x", [run_of(seed, **{measure: value}) for seed, value in values.items()], {})


def test_interquartile_mean_is_that_of_scipy_and_resists_outliers() -> None:
    values = np.random.default_rng(0).normal(size=(3, 20))
    found = interquartile_means(values)
    assert found[:, 0] == pytest.approx(stats.trim_mean(values, 0.25, axis=1))
    assert (found[:, 1] < found[:, 0]).all() and (found[:, 0] < found[:, 2]).all()
    values[:, 0] = 1e6
    assert (np.abs(interquartile_means(values)) < 2).all()


def test_the_bootstrap_interval_is_that_of_resampled_interquartile_means() -> None:
    values = np.random.default_rng(1).normal(size=12)
    random = np.random.default_rng(2)
    resampled = stats.trim_mean(random.choice(values, size=(20_000, 12)), 0.25, axis=1)
    _, low, high = interquartile_means([values])[0]
    assert [low, high] == pytest.approx(np.percentile(resampled, [2.5, 97.5]), abs=0.1)


def test_without_spread_there_is_no_interval() -> None:
    assert np.isnan(interquartile_means([[2.0] * 8, [1.0, 2.0] * 4])[:, 1]).tolist() == [True, False]


def test_few_seeds_have_no_interval() -> None:
    assert np.isnan(interquartile_means([np.arange(FEWEST_FOR_BOOTSTRAP - 1)])[0, 1:]).all()
    assert np.isfinite(interquartile_means([np.arange(FEWEST_FOR_BOOTSTRAP)])).all()


def test_probability_is_the_mann_whitney_statistic() -> None:
    first, second = np.array([1.0, 3.0, 3.0, 7.0]), np.array([3.0, 2.0, 8.0])
    statistic = stats.mannwhitneyu(first, second).statistic
    assert probability_of_larger(first, second) == pytest.approx(statistic / (len(first) * len(second)))
    assert probability_of_larger(first, second) + probability_of_larger(second, first) == pytest.approx(1)
    assert np.isnan(probability_of_larger([], second))


def test_summaries_have_the_seeds_that_have_the_measure() -> None:
    row = row_of({0: 0.2, 1: 0.4, 2: None, 3: float("nan"), 4: True})
    mean, low, high, middle, *_, seeds = summaries(row, [MEASURES["final_accuracy"]])["final_accuracy"]
    reach = stats.t.ppf(0.975, 1) * stats.sem([20, 40])
    assert (mean, middle, seeds) == (30, 30, 2)
    assert [low, high] == pytest.approx([30 - reach, 30 + reach], rel=1e-4)
    assert summaries(row_of({0: None}), [MEASURES["final_accuracy"]]) == {}


def test_differences_are_over_shared_seeds() -> None:
    measure = MEASURES["final_accuracy"]
    rows = {0: row_of({0: 0.5, 1: 0.6, 2: 0.9}), 1: row_of({1: 0.5, 2: 0.6, 7: 0.0}), 4: row_of({9: 0.5})}
    found = pairs(rows, [measure])["final_accuracy"]
    assert set(found) == {"0,1"}
    seeds, mean, low, high, larger = found["0,1"]
    expected = stats.ttest_rel([60, 90], [50, 60])
    interval = expected.confidence_interval()
    assert seeds == 2 and mean == pytest.approx(20)
    assert [low, high] == pytest.approx([interval.low, interval.high], rel=1e-4)
    assert larger == pytest.approx(7 / 9, rel=1e-4)


def test_equal_results_of_different_rounding_have_no_interval() -> None:
    rows = {0: row_of({0: 1 / 3, 1: 0.5}), 1: row_of({0: 0.3333333333, 1: 0.5})}
    assert pairs(rows, [MEASURES["final_accuracy"]])["final_accuracy"]["0,1"] == [2, 0, None, None, 0.5]


def test_measures_are_the_numbers_that_a_run_has() -> None:
    runs = [run_of(0, final_accuracy=0.5, ece=None, accuracy_curve=[0.5], own=2.0), run_of(1, mean_regret=0.1)]
    assert [measure.name for measure in measures_of(runs)] == ["final_accuracy", "mean_regret", "own"]

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments.reports.statistics import (
    FEWEST_FOR_BOOTSTRAP,
    holm,
    mean_interval,
    paired_difference,
    paired_p_value,
    statistics_table,
)


def test_interval_of_many_values_is_the_same_each_time_and_near_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(5, 2, 200)
    first = mean_interval(values)
    half = 1.96 * values.std() / math.sqrt(200)
    assert first == mean_interval(values)
    assert first == pytest.approx((values.mean(), values.mean() - half, values.mean() + half), abs=0.05)


@pytest.mark.parametrize("seeds", [3, 5])
def test_interval_of_few_values_holds_the_mean_as_often_as_it_says(seeds: int) -> None:
    samples = np.random.default_rng(0).normal(size=(1500, seeds))
    found = [mean_interval(sample) for sample in samples]
    assert 0.93 <= np.mean([low <= 0 <= high for _, low, high in found]) <= 0.97


def test_few_values_are_not_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("resampled")

    monkeypatch.setattr(stats, "bootstrap", refuse)
    values = np.random.default_rng(0).normal(size=FEWEST_FOR_BOOTSTRAP)
    for count in range(FEWEST_FOR_BOOTSTRAP):
        mean_interval(values[:count])
    expected = stats.ttest_1samp(values[:5], 0).confidence_interval(0.95)
    assert mean_interval(values[:5])[1:] == pytest.approx((expected.low, expected.high))
    with pytest.raises(AssertionError, match="resampled"):
        mean_interval(values)


def test_values_without_spread_have_no_interval() -> None:
    assert mean_interval([3.0]).mean == 3.0 and math.isnan(mean_interval([3.0]).low)
    assert all(math.isnan(value) for value in mean_interval([]))
    for count in (2, FEWEST_FOR_BOOTSTRAP):
        same = mean_interval([0.1] * count)
        assert same.mean == pytest.approx(0.1) and math.isnan(same.low) and math.isnan(same.high)
    assert math.isnan(paired_p_value([2.0], [1.0])) and math.isnan(paired_difference([], []).mean)


def test_p_value_is_the_paired_t_tests() -> None:
    first, second = [0.7, 0.9, 0.6, 0.8], [0.5, 0.6, 0.6, 0.7]
    # differences 0.2, 0.3, 0, 0.1: mean 0.15, standard deviation 0.1291, t = 0.15 / (0.1291 / 2) = 2.3238, 3 degrees
    assert paired_p_value(first, second) == pytest.approx(2 * stats.t.sf(2.3238, 3), abs=1e-4)
    assert paired_p_value(second, first) == pytest.approx(paired_p_value(first, second))


def test_differences_that_are_all_the_same_have_neither_p_value_nor_interval() -> None:
    first, second = [0.3, 0.4], [0.1, 0.2]  # two of 0.2, but for rounding
    assert math.isnan(paired_p_value(first, second))
    found = paired_difference(first, second)
    assert found.mean == pytest.approx(0.2) and math.isnan(found.low) and math.isnan(found.high)


def test_holm_by_hand() -> None:
    # ascending 0.01, 0.02, 0.03, 0.5 by 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.5; NaN is no test
    assert holm([0.03, np.nan, 0.01, 0.5, 0.02]) == pytest.approx([0.06, np.nan, 0.04, 0.5, 0.06], nan_ok=True)
    assert holm([0.6, 0.9]).tolist() == [1.0, 1.0] and holm([0.2]).tolist() == [0.2]
    assert holm([]).size == 0 and np.isnan(holm([np.nan])).all()


def test_holm_corrects_upwards_and_keeps_the_order() -> None:
    p = np.random.default_rng(0).uniform(size=50)
    corrected = holm(p)
    assert (corrected >= p).all() and (corrected <= 1).all() and (np.diff(corrected[p.argsort()]) >= 0).all()


def test_differences_of_a_measure_are_corrected_together() -> None:
    random = np.random.default_rng(0)
    rows = [
        {"condition": condition, "contender": contender, "seed": seed}
        | {"final_accuracy": random.normal(), "forgetting": random.normal()}
        for condition in ("a", "b")
        for contender in ("ce", "epg", "aepg")
        for seed in range(3)
    ]
    table = statistics_table(pd.DataFrame(rows), "ce")
    assert table.loc[table["contender"] == "ce", "p_holm"].isna().all()
    for _, measure in table.groupby("measure"):
        assert measure["p"].count() == 4 and (measure["p_holm"].dropna() >= measure["p"].dropna()).all()
        assert measure["p_holm"].min() == pytest.approx(min(1, 4 * measure["p"].min()))


def test_tidy_table_pairs_by_seed_and_takes_every_number() -> None:
    runs = pd.DataFrame(
        {
            "condition": "c",
            "contender": ["ce", "ce", "epg", "epg"],
            "seed": [0, 1, 1, 0],
            "final_accuracy": [0.5, 0.7, 0.9, 0.6],
            "train_recovered": [np.nan, np.nan, 0.2, np.nan],
            "folder": "somewhere",
        }
    )
    table = statistics_table(runs, "ce").set_index(["contender", "measure"])
    assert len(table) == 4
    epg = table.loc[("epg", "final_accuracy")]
    assert (epg["seeds"], epg["mean"], epg["std"]) == (2, pytest.approx(0.75), pytest.approx(0.15 * math.sqrt(2)))
    half = stats.t.ppf(0.975, 1) * 0.15  # of 0.6 and 0.9: a standard error of 0.15
    assert (epg["low"], epg["high"]) == (pytest.approx(0.75 - half), pytest.approx(0.75 + half))
    # differences 0.1 (seed 0) and 0.2 (seed 1): t = 0.15 / 0.05 = 3 with one degree of freedom
    assert epg["difference"] == pytest.approx(0.15) and epg["p"] == pytest.approx(2 * stats.t.sf(3, 1))
    assert epg["difference_high"] - epg["difference"] == pytest.approx(stats.t.ppf(0.975, 1) * 0.05)
    assert epg["p_holm"] == epg["p"]  # of a single difference
    assert math.isnan(table.loc[("ce", "final_accuracy"), "difference"])
    lone = table.loc[("epg", "train_recovered")]
    assert (lone["seeds"], lone["mean"]) == (1, 0.2) and math.isnan(lone["difference"])

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments.statistics import bootstrap_interval, paired_difference, paired_p_value, statistics_table


def test_bootstrap_interval_of_two_values_reaches_both() -> None:
    # a resample of {0, 1} has mean 0, 0.5 or 1, with chances 1/4, 1/2, 1/4
    assert bootstrap_interval([0.0, 1.0]) == (0.5, 0.0, 1.0)


def test_bootstrap_interval_is_the_same_each_time_and_near_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(5, 2, 200)
    first = bootstrap_interval(values)
    half = 1.96 * values.std() / math.sqrt(200)
    assert first == bootstrap_interval(values)
    assert first == pytest.approx((values.mean(), values.mean() - half, values.mean() + half), abs=0.05)


def test_too_few_values_have_no_interval() -> None:
    assert bootstrap_interval([3.0]).mean == 3.0 and math.isnan(bootstrap_interval([3.0]).low)
    assert all(math.isnan(value) for value in bootstrap_interval([]))
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
    assert (epg["low"], epg["high"]) == (0.6, 0.9)
    # differences 0.1 (seed 0) and 0.2 (seed 1): t = 0.15 / 0.05 = 3 with one degree of freedom
    assert epg["difference"] == pytest.approx(0.15) and epg["p"] == pytest.approx(2 * stats.t.sf(3, 1))
    assert epg["difference_high"] - epg["difference"] == pytest.approx(stats.t.ppf(0.975, 1) * 0.05)
    assert math.isnan(table.loc[("ce", "final_accuracy"), "difference"])
    lone = table.loc[("epg", "train_recovered")]
    assert (lone["seeds"], lone["mean"]) == (1, 0.2) and math.isnan(lone["difference"])

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments.reports.statistics import paired_difference
from experiments.reports.tables import markdown, summary_table
from experiments.runs.metrics import (
    accuracy_curve,
    accuracy_over_images_curve,
    average_accuracy,
    final_accuracy,
    forgetting,
)

NAN = np.nan
MATRIX = np.array([[0.9, NAN, NAN], [0.7, 0.8, NAN], [0.5, 0.9, 1.0]])


def test_hand_worked_matrix() -> None:
    assert accuracy_curve(MATRIX).tolist() == pytest.approx([0.9, 0.75, 0.8])
    assert final_accuracy(MATRIX) == pytest.approx(0.8)
    assert average_accuracy(MATRIX) == pytest.approx((0.9 + 0.75 + 0.8) / 3)
    # task 1 fell from 0.9 to 0.5; task 2 rose from its best before the end, 0.8, to 0.9
    assert forgetting(MATRIX) == pytest.approx((0.4 - 0.1) / 2)


def test_images_weigh_alike_where_tasks_differ_in_size() -> None:
    found = accuracy_over_images_curve(MATRIX, np.array([60, 30, 10]))
    # right: 54 of 60; 42 + 24 of 90; 30 + 27 + 10 of 100
    assert found.tolist() == pytest.approx([54 / 60, 66 / 90, 67 / 100])
    assert found[-1] < final_accuracy(MATRIX) - 0.1
    alike = accuracy_over_images_curve(MATRIX, np.array([20, 20, 20]))
    assert alike.tolist() == pytest.approx(accuracy_curve(MATRIX).tolist(), abs=1e-15)


def test_single_task_forgets_nothing() -> None:
    assert forgetting(np.array([[0.7]])) == 0.0


def test_paired_interval_is_the_t_tests() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(1, 1, 8), random.normal(0, 1, 8)
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    found = paired_difference(first, second)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-3)


def test_one_pair_has_no_interval() -> None:
    assert np.isnan(paired_difference([2.0], [1.0]).low)


def test_table_pairs_by_seed_whatever_the_order() -> None:
    values = {"ce": {0: 0.5, 1: 0.7}, "epg": {1: 0.8, 0: 0.62}}
    rows = [
        {"condition": "c", "contender": name, "seed": seed, "final_accuracy": value}
        | {"average_accuracy": value, "forgetting": 0.1, "test_entropy": 1.0}
        for name, runs in values.items()
        for seed, value in runs.items()
    ]
    table = summary_table(pd.DataFrame(rows), "ce")
    assert table.loc[1, "A_T %"] == "71.0 ± 12.7"
    assert table.iloc[1, -1] == "+11.0 [-1.7, +23.7]"
    assert table.iloc[0, -1] == ""
    assert markdown(table).splitlines()[1] == "|" + " --- |" * len(table.columns)

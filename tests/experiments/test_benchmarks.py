from __future__ import annotations

import pytest

from experiments.benchmarks.__main__ import BENCHMARKS
from experiments.benchmarks.gpu import benchmark_gpu
from experiments.benchmarks.measuring import compare_rates, measure_rate


def test_rates_are_items_over_seconds() -> None:
    row = compare_rates("a / b", lambda: sum(range(20_000)) and 100, lambda: sum(range(20_000)) and 50, "items/s", 5)
    assert row.ratio is not None and row.spread[0] <= row.ratio <= row.spread[1]
    assert measure_rate("a", lambda: sum(range(1000)) and 7, "items/s", 3).value > 0
    assert row.as_json()["row"] == "a / b"


def test_env_benchmark_measures_both_sides() -> None:
    (row,) = BENCHMARKS["env"](1)
    assert row.ratio is not None and row.value > 0 and row.against is not None


def test_gpu_benchmark_runs_wherever_it_is() -> None:
    rows = benchmark_gpu(1, model="vit_micro_patch8_32", image_size=32, batch_size=4, matrix_size=64)
    assert [row.unit for row in rows[:4]] == ["images/s", "images/s", "TFLOP/s", "TFLOP/s"]
    assert rows[2].ratio == pytest.approx(rows[2].value / rows[3].value)

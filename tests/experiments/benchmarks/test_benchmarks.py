from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from experiments.benchmarks import learner, precision, scaling
from experiments.benchmarks.__main__ import BENCHMARKS, main
from experiments.benchmarks.data import benchmark_data, mosaics
from experiments.benchmarks.measuring import Measurement, compare_rates, measure_rate

pytestmark = pytest.mark.long


def check(rows: list[Measurement]) -> dict[str, Measurement]:
    """The rows by name, once what holds for any row, timed once, has been found to hold."""
    for row in rows:
        assert math.isfinite(row.value) and row.value >= 0 and row.unit
        assert row.spread[0] <= row.spread[1]
        assert (row.ratio is None) == (row.against is None)
        if row.against is not None:
            assert row.ratio == pytest.approx(row.value / row.against)
        if row.unit in ("images/s", "TFLOP/s", "ms"):
            assert row.value > 0
    named = {row.row: row for row in rows}
    assert len(named) == len(rows)
    return named


def test_rates_are_items_over_seconds() -> None:
    row = compare_rates("a / b", lambda: sum(range(20_000)) and 100, lambda: sum(range(20_000)) and 50, "items/s", 5)
    assert row.ratio is not None and row.spread[0] <= row.ratio <= row.spread[1]
    assert measure_rate("a", lambda: sum(range(1000)) and 7, "items/s", 3).value > 0
    assert row.as_json()["row"] == "a / b"


def test_env_benchmark_measures_both_sides() -> None:
    assert list(check(BENCHMARKS["env"](1))) == [
        f"{sides}, 32 px, 256 envs"
        for sides in (
            "vector env / SyncVectorEnv",
            "SB3 view of the vector env / DummyVecEnv",
            "SB3 view of the vector env / the vector env",
        )
    ]


def test_learner_benchmark_measures_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner, "BATCHES", 1)
    rows = [f"learner / bare PyTorch loop, batch {size}" for size in (32, 128)]
    assert list(check(BENCHMARKS["learner"](1))) == [*rows, "learner with aepg / with ce, batch 32"]


def test_precision_benchmark_measures_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "MODEL", "test_vit")
    monkeypatch.setattr(precision, "BATCHES", 1)
    rows = check(BENCHMARKS["precision"](1))
    assert list(rows) == [f"bfloat16 / float32, {phase}, test_vit" for phase in ("head alone", "all of LoRA", "test")]


def test_scaling_benchmark_measures_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "TASKS", (2, 6))
    monkeypatch.setattr(scaling, "CLASSES", (10, 20))
    monkeypatch.setattr(scaling, "IMAGES_PER_TASK", 40)
    monkeypatch.setattr(scaling, "BATCHES", 1)
    sizes = ("6 tasks / 2 tasks, 2 classes each", "20 classes / 10 classes, 5 tasks")
    rows = [f"{phase}, {size}" for size in sizes for phase in ("learning", "test")]
    assert list(check(BENCHMARKS["scaling"](1))) == rows


def test_augmentation_benchmark_is_nearer_to_torchvision_than_other_batched_ways() -> None:
    rows = check(BENCHMARKS["augmentation"](1))
    assert {row.unit for row in rows.values()} == {"images/s", "levels"}
    for name in ("roi_align", "grid_sample"):
        difference = rows[f"difference, batched view / {name}, 256 to 224 px, batch 64"]
        assert difference.ratio is not None and difference.ratio < 0.01


def test_data_benchmark_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache = os.environ["CLS_ENV_CACHE"]
    rows = check(benchmark_data(1, images=16, batch_size=8, batches=4, large=64))
    assert list(rows)[:4] == [f"store / {other} {side}" for side in (32, 224) for other in ("DataLoader", "numpy.take")]
    assert [row.unit for row in rows.values()][4:] in (["ms"], ["ms", "MiB"])
    assert os.environ["CLS_ENV_CACHE"] == cache and list(tmp_path.iterdir()) == []


def test_mosaics_are_made_of_whole_glyphs() -> None:
    glyphs = mosaics(6, 1, 1)
    large = mosaics(1, 2, 3)
    assert large.shape == (1, 64, 96, 3) and large.dtype == np.uint8
    tiles = [
        large[0, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32] for row in (0, 1) for column in range(3)
    ]
    assert np.array_equal(tiles, glyphs)


def test_command_writes_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.json"
    monkeypatch.setattr("sys.argv", ["benchmarks", "env", "--repeats", "1", "--json", str(file)])
    assert main() == 0
    rows = json.loads(file.read_text())
    assert len(rows) == 3
    for row in rows:
        assert row["repeats"] == 1 and row["ratio"] == pytest.approx(row["value"] / row["against"])
    assert "images/s" in capsys.readouterr().out


def test_unknown_benchmark_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "augmentatoin"])
    assert main() == 2
    assert "did you mean 'augmentation'" in capsys.readouterr().err

"""The GPU benchmark, on the CPU and on a pretend GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.networks.preprocessing import Preprocessing
from experiments.benchmarks.__main__ import main
from experiments.benchmarks.gpu import facts, peers, product, right, schedule, waits
from experiments.benchmarks.gpu.product import TrainingClock
from experiments.benchmarks.gpu.report import Row
from experiments.benchmarks.gpu.schedule import PARTS, benchmark_gpu
from experiments.benchmarks.gpu.settings import GpuSettings
from tests.pretend_gpu import Traffic

pytestmark = pytest.mark.long

TINY = {
    "model": "test_vit",
    "image_size": 32,
    "batch_size": 8,
    "images": 80,
    "classes": 4,
    "tasks": 2,
    "steps": 2,
    "matrix_size": 64,
    "paths": ("host", "device"),
}


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (facts, "SECONDS", 0.01),
        (facts, "COPIED", 1000),
        (right, "BATCH", 8),
        (right, "STEPS", 2),
        (right, "FEWER_STEPS", 2),
        (right, "EPOCHS", 1),
        (right, "GLYPHS", ("num_classes=10", "train_per_class=8", "test_per_class=2")),
        (right, "ANSWERED", 32),
        (peers, "WORKERS", 1),
        (product, "FEWER_EPOCHS", 1),
    ):
        monkeypatch.setattr(module, name, value)
    for cached in (facts.matrix_rate, right.expected_losses, right.learned_state):
        cached.cache_clear()


def settings_of(**changes: Any) -> GpuSettings:
    return GpuSettings(**(TINY | {"minutes": 60} | changes))


def test_every_part_measures_something_and_nothing_fails(tmp_path: Path) -> None:
    rows = benchmark_gpu(settings_of(json=tmp_path / "rows.json")).rows
    assert list(dict.fromkeys(part for part, _ in rows)) == list(PARTS)
    texts = [f"{row.row}: {row.value}" for _, row in rows if isinstance(row.value, str)]
    assert [text for text in texts if "failed" in text or "skipped" in text] == [
        "steps without a wait: skipped: there is no GPU"
    ]
    written = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["part"], row["row"], row["value"]) for row in written] == [
        (part, row.row, row.value) for part, row in rows
    ]
    for part, row in rows:
        if row.unit in ("images/s", "ms", "GB/s", "TFLOP/s", "us"):
            assert isinstance(row.value, float) and row.value > 0, row
        if part == "right" and row.against is not None:
            assert not isinstance(row.value, str) and row.value <= row.against, row
    names = {row.row for _, row in rows}
    for kind in ("head-only step", "whole step", "test of 16 images"):
        assert {f"{kind}, {path}: speed" for path in ("host", "device")} <= names


def test_command_takes_the_options_of_the_gpu_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.json"
    words = ["benchmarks", "gpu", "--parts", "facts", "--matrix-size", "32", "--json", str(file)]
    monkeypatch.setattr("sys.argv", words)
    assert main() == 0
    rows = {row["row"]: row["value"] for row in json.loads(file.read_text())}
    assert rows["torch"] == torch.__version__.partition("+")[0] and rows["bf16 product of 32 x 32 matrices"] > 0
    assert "GB/s" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["benchmarks", "gpu", "--steps", "0"])
    assert main() == 2 and "steps must be at least 1, not 0" in capsys.readouterr().err


def test_what_is_late_is_skipped_and_what_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def slow() -> list[Row]:
        now[0] += 100
        return [Row("slow", 1.0)]

    def broken() -> list[Row]:
        raise ZeroDivisionError("no images")

    parts = {
        "right": (1.0, lambda settings: {"broken": broken, "slow": slow, "late": slow}),
        "speed": (3.0, lambda settings: {"in time": slow, "late too": slow}),
    }
    monkeypatch.setattr(schedule, "PARTS", parts)
    rows = benchmark_gpu(settings_of(minutes=4, parts=("right", "speed")), lambda: now[0]).rows
    assert [(part, row.row, row.value) for part, row in rows] == [
        ("right", "broken", "failed: ZeroDivisionError: no images"),
        ("right", "slow", 1.0),
        ("right", "late", "skipped: its time is over"),
        ("right", "the whole part", 100.0),
        ("speed", "slow", 1.0),
        ("speed", "slow", 1.0),
        ("speed", "the whole part", 200.0),
    ]


@pytest.mark.parametrize("fault", ["mirrored", "red for blue", "not standardized"])
@pytest.mark.parametrize("precision", right.BOUNDS)
def test_bounds_notice_wrong_inputs(fault: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    features, _ = right.features_and_gradients(cpu, "float32")
    forward = Preprocessing.forward

    def wrong(self: Preprocessing, *args: Any, **kwargs: Any) -> torch.Tensor:
        inputs = forward(self, *args, **kwargs)
        if fault == "not standardized":
            return inputs * self.std + self.mean
        return inputs.flip(3 if fault == "mirrored" else 1)

    monkeypatch.setattr(Preprocessing, "forward", wrong)
    wrong_features, _ = right.features_and_gradients(cpu, precision)
    assert right.relative_difference(wrong_features, features) > right.BOUNDS[precision].features


def test_steps_without_a_wait_on_a_pretend_gpu(gpu: Traffic) -> None:
    settings = settings_of()
    (check,) = waits.checks(settings).values()
    assert [(row.value, row.against) for row in check()] == [(2, 2)]
    with pytest.raises(RuntimeError, match=r"a copy of \d+ bytes from pageable memory to the GPU"):
        list(waits._steps(settings, "host"))


def test_training_is_timed_between_the_steps_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = TrainingClock((30, 20))
    times = iter([0.0, 1.0, 2.0, 10.0, 12.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    for _ in range(5):
        clock(10)
    assert clock.seconds == pytest.approx(3 * 1.0 + 2 * 2.0)

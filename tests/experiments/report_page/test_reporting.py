"""The report that is written while runs go on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from experiments.comparisons.output_paths import OutputPaths
from experiments.config.comparison import ComparisonOptions
from experiments.config.entry import Entry
from experiments.config.settings import RunConfig
from experiments.report_page.reporting import PAGE, reporting, rewrite

pytestmark = pytest.mark.long

HERE = ComparisonOptions(workers=0)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Turns:
    """A pipe whose other end is closed after some waits."""

    def __init__(self, count: int) -> None:
        self.waited: list[float] = []
        self._count = count

    def poll(self, seconds: float) -> bool:
        self.waited.append(seconds)
        return len(self.waited) > self._count


def test_it_is_written_anew_after_each_interval(comparison: Path, tmp_path: Path) -> None:
    folders = [*sorted((comparison / "runs").iterdir())[:2], tmp_path / "not_begun"]
    over, out = Turns(2), tmp_path / PAGE
    rewrite(os.getppid(), over, folders, out, 0.5, "cls-env compare")  # type: ignore[arg-type]
    assert over.waited == [30, 30, 30]
    assert "cls-env compare" in out.read_text(encoding="utf-8")


def test_nothing_is_written_before_a_run_is_finished(tmp_path: Path) -> None:
    rewrite(os.getppid(), Turns(1), [tmp_path / "begun"], tmp_path / PAGE, 1, "")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("error", "written"), [(RuntimeError, True), (KeyboardInterrupt, False)])
def test_it_is_written_after_a_failed_run_but_not_after_ctrl_c(
    comparison: Path, tmp_path: Path, error: type[BaseException], written: bool
) -> None:
    config = RunConfig(**{
        name: value
        for name, value in json.loads(next((comparison / "runs").glob("*/config.json")).read_text()).items()
        if name in {field.name for field in fields(RunConfig)}
    })  # fmt: skip
    shutil.copytree(comparison / "runs", tmp_path / "runs")
    with (
        pytest.raises(error),
        reporting([Entry("c", "ce", config)], OutputPaths.of(tmp_path, HERE)),
    ):
        raise error
    assert (tmp_path / PAGE).exists() == written


@pytest.mark.slow
def test_a_comparison_can_be_watched(comparison: Path, tmp_path: Path) -> None:
    """The page is there before the block, in which the runs go on, is over."""
    from experiments.comparisons.entries import objective_entries
    from experiments.config.settings import CompareConfig

    config = CompareConfig(
        model="test_vit", pretrained=False, num_tasks=2, epochs=2, batch_size=4, learning_rate=0.02, device="cpu",
        options=("num_classes=4", "train_per_class=6", "test_per_class=4"), test_before_tasks=True,
        objectives=("ce", "aepg"), label_noise=(0.0, 0.5), seeds=(0, 1),
    )  # fmt: skip
    shutil.copytree(comparison / "runs", tmp_path / "runs")
    paths = OutputPaths.of(tmp_path, HERE)
    with reporting(objective_entries(config), paths, minutes=0.001):
        ends = time.monotonic() + 120
        while not (tmp_path / PAGE).exists() and time.monotonic() < ends:
            time.sleep(0.2)
        assert (tmp_path / PAGE).exists()
    assert not list(tmp_path.glob("*.tmp")) and not list(tmp_path.glob(".*"))


def test_an_impossible_interval_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="--report-every must be"),
        reporting([], OutputPaths.of(tmp_path, HERE), 0),
    ):
        pass

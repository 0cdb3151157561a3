"""The parts in turn, each until its share of the time is over."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterable

from cls_env.command_line.errors import described
from experiments.benchmarks.gpu import facts, peers, product, right, speed, waits
from experiments.benchmarks.gpu.report import Check, Report, Row
from experiments.benchmarks.gpu.settings import GpuSettings

PARTS: dict[str, tuple[float, Callable[[GpuSettings], dict[str, Check]]]] = {
    "facts": (15, facts.checks),
    "right": (75, right.checks),
    "waits": (15, waits.checks),
    "speed": (135, speed.checks),
    "peers": (70, peers.checks),
    "product": (170, product.checks),
}
"""The share of each part, and the function that returns its checks."""


def benchmark_gpu(settings: GpuSettings, clock: Callable[[], float] = time.monotonic) -> Report:
    """Run the parts. A check that fails gives a row with its error and prints the traceback, and the next one goes on.

    Args:
        settings: What to measure.
        clock: Seconds.

    Returns:
        All rows.

    Raises:
        ValueError: A setting is out of range.
    """
    settings.check()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic products need it before the first one
    report = Report(settings.json)
    total = sum(PARTS[part][0] for part in settings.parts)
    deadline = clock()
    for part in settings.parts:
        share, checks = PARTS[part]
        deadline += 60 * settings.minutes * share / total
        began = clock()
        for name, check in checks(settings).items():
            late = clock() > deadline
            for row in [Row(name, "skipped: its time is over")] if late else _rows(name, check):
                report.add(part, row)
        report.add(part, Row("the whole part", clock() - began, "s"))
    return report


def _rows(name: str, check: Check) -> Iterable[Row]:
    try:
        yield from check()
    except Exception as error:
        traceback.print_exc()
        yield Row(name, f"failed: {described(error)}")

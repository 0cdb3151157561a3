"""The parts in turn, with a table of each."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from cls_env.command_line.errors import ReportedError
from cls_env.command_line.printable import printable
from experiments.benchmarks.faults.settings import FaultSettings
from experiments.console import progress_bar, say
from experiments.files import write_json


@dataclass(frozen=True)
class Row:
    """A figure.

    Attributes:
        part: Part of the benchmark.
        row: What it is.
        value: The figure.
        unit: Of the figure.
        harm: Whether it must be 0, and is not.
    """

    part: str
    row: str
    value: float
    unit: str = ""
    harm: bool = False


def benchmark_faults(settings: FaultSettings) -> list[Row]:
    """Try all parts. All rows that are known are in the file at any time.

    Raises:
        ValueError: A setting is out of range.
        ReportedError: Something did harm.
    """
    settings.check()
    rows: list[Row] = []
    for part in settings.parts:
        for row in PARTS[part](settings):
            rows.append(row)
            say(f"{row.part:8} {row.row:70} {row.value:,.4g} {row.unit}{'  (must be 0)' if row.harm else ''}")
            if settings.json is not None:
                write_json(settings.json, [asdict(each) for each in rows])
    if harmful := [row.row for row in rows if row.harm]:
        raise ReportedError(f"not 0, as it must be: {', '.join(harmful)}")
    return rows


def _stops(settings: FaultSettings) -> Iterator[Row]:
    from experiments.benchmarks.faults.stops import stopped_runs

    with tempfile.TemporaryDirectory() as folder, progress_bar() as progress:
        outcomes = []
        for outcome in progress.track(stopped_runs(settings.runs, Path(folder), settings.seed), settings.runs):
            outcomes.append(outcome)
            if outcome.differs or outcome.left:
                say(f"{outcome.method} after {', '.join(outcome.faults)}: {outcome.differs} {outcome.left}")
    for fault, count in sorted(Counter(fault for outcome in outcomes for fault in outcome.faults).items()):
        yield Row("stops", f"stopped by {fault}", count, "times")
    for times, count in sorted(Counter(len(outcome.faults) for outcome in outcomes).items()):
        yield Row("stops", f"runs that were stopped {times} times", count, "runs")
    equal = sum(not outcome.differs for outcome in outcomes)
    yield Row("stops", f"of {len(outcomes)} runs equal to undisturbed ones", equal, "runs")
    yield _harm("stops", "runs that differ", len(outcomes) - equal)
    yield _harm("stops", "runs that left locks or temporary files", sum(bool(each.left) for each in outcomes))


def _hostile(settings: FaultSettings) -> Iterator[Row]:
    from experiments.benchmarks.hostile_files import try_hostile_files

    with tempfile.TemporaryDirectory() as folder:
        outcomes = try_hostile_files(Path(folder))
    tally = Counter(outcome.verdict for outcome in outcomes)
    yield Row("hostile", "files tried", len(outcomes), "files")
    for result in ("refused", "harmless"):
        yield Row("hostile", result, tally[result], "files")
    yield _harm("hostile", "harmed", len(outcomes) - tally["refused"] - tally["harmless"])


def _inputs(settings: FaultSettings) -> Iterator[Row]:
    from experiments.benchmarks.fuzzing import try_inputs

    verdicts = try_inputs(settings.inputs, settings.seed)
    for account in sorted({verdict.account for verdict in verdicts if verdict.outcome == "undocumented"}):
        say(printable(account), highlight=False)
    tally = Counter(verdict.outcome for verdict in verdicts)
    yield Row("inputs", "inputs tried", len(verdicts), "inputs")
    yield Row("inputs", "accepted", tally["accepted"], "inputs")
    yield Row("inputs", "refused", tally["refused"], "inputs")
    yield _harm("inputs", "undocumented errors", tally["undocumented"])


def _cost(settings: FaultSettings) -> Iterator[Row]:
    from experiments.benchmarks.faults.cost import costs

    for cost in costs():
        yield Row("cost", f"{cost.agent}: time of a checkpoint", cost.seconds, "s")
        yield Row("cost", f"{cost.agent}: its size", cost.bytes / 1e6, "MB")
        yield Row("cost", f"{cost.agent}: share of a run's time", 100 * cost.share, "%")


def _harm(part: str, row: str, count: int) -> Row:
    return Row(part, row, count, harm=count > 0)


PARTS: dict[str, Callable[[FaultSettings], Iterator[Row]]] = {
    "stops": _stops,
    "hostile": _hostile,
    "inputs": _inputs,
    "cost": _cost,
}
"""The parts by name."""

"""The parts in turn, with a table."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from cls_env.command_line.errors import ReportedError
from experiments.benchmarks.engines.settings import EngineSettings
from experiments.benchmarks.engines.sweeps import JOURNALED, Outcome, small_runs
from experiments.config.entry import Entry
from experiments.console import say
from experiments.execution.engines.engine import Engine
from experiments.execution.engines.local import LocalEngine
from experiments.execution.run_all import run_all
from experiments.files import write_json

Row: TypeAlias = dict[str, str | float | bool]
"""A figure: `part`, `row`, `value`, `unit`, and `harm`, whether the figure is wrong."""
JOBS = 4
"""Runs that are submitted as jobs."""
EMPTY_RUNS = {"local": 40, "ray": 40, "slurm": 4}
"""How many runs that do nothing measure the overhead."""


def benchmark_engines(settings: EngineSettings) -> list[Row]:
    """Try all parts.

    Raises:
        ReportedError: A run was lost, done twice, or ended with other results.
    """
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        for part in settings.parts:
            for row in PARTS[part](settings, Path(name) / part):
                rows.append({"part": part, **row})
                say(f"{part:9} {row['row']:60} {row['value']:,.4g} {row['unit']}{'  (wrong)' if row['harm'] else ''}")
                if settings.json is not None:
                    write_json(settings.json, rows)
    if wrong := [str(row["row"]) for row in rows if row["harm"]]:
        raise ReportedError(f"wrong figures: {', '.join(wrong)}")
    return rows


def _row(row: str, value: float, unit: str, harm: bool = False) -> Row:
    return {"row": row, "value": value, "unit": unit, "harm": harm}


def _ray(settings: EngineSettings, folder: Path) -> Iterator[Row]:
    from experiments.benchmarks.engines.lost_node import execute_with_lost_node

    yield from _compared(small_runs(settings.runs), folder, execute_with_lost_node)


def _slurm(settings: EngineSettings, folder: Path) -> Iterator[Row]:
    from experiments.benchmarks.engines.queued_again import execute_with_preemption

    yield from _compared(small_runs(JOBS), folder, execute_with_preemption)


def _compared(
    entries: list[Entry], folder: Path, execute: Callable[[list[Entry], Path, Path], Outcome]
) -> Iterator[Row]:
    """The same runs with the local engine and with another one that is disturbed."""
    run_all(entries, folder / "local", LocalEngine(), JOURNALED)
    outcome = execute(entries, folder / "disturbed", folder / "local")
    total = len(entries)
    yield _row(f"of {total} runs finished", outcome.finished, "runs", outcome.finished != total)
    yield _row("runs that finished twice", outcome.twice, "runs", outcome.twice > 0)
    yield _row("runs that were interrupted and begun again", outcome.interrupted, "runs", outcome.interrupted == 0)
    yield _row("runs with other results than with the local engine", outcome.differ, "runs", outcome.differ > 0)


def _overhead(settings: EngineSettings, folder: Path) -> Iterator[Row]:
    from experiments.benchmarks.engines.overhead import measure_overhead
    from experiments.execution.engines.ray_engine import RayEngine
    from experiments.execution.engines.slurm_engine import SlurmEngine

    engines: dict[str, Engine] = {
        "local": LocalEngine(1),
        "ray": RayEngine(workers=1),
        "slurm": SlurmEngine({"cluster": "local"}, workers=1),
    }
    for name, engine in engines.items():
        seconds = measure_overhead(engine, EMPTY_RUNS[name], folder / name)
        yield _row(f"{name}: until the end of the first run, imports included", seconds.first, "s")
        yield _row(f"{name}: a further run", seconds.further, "s")


PARTS: dict[str, Callable[[EngineSettings, Path], Iterator[Row]]] = {
    "ray": _ray,
    "slurm": _slurm,
    "overhead": _overhead,
}
"""The parts by name."""

"""The runs of all methods, and the table of their differences."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rich.table import Table

from experiments.benchmarks.parallel.alike import difference
from experiments.benchmarks.parallel.runs import SETTINGS, configuration, execute
from experiments.benchmarks.parallel.settings import ParallelSettings, gradient_methods
from experiments.config.resolved import resolve
from experiments.console import say, show
from experiments.files import write_json
from experiments.runs.run_folder import RunFolder


def benchmark_parallel(settings: ParallelSettings) -> list[dict[str, Any]]:
    """Train each method in one process and in several, and compare.

    As a control, one process trains it with `micro_batch`: it passes the same parts of a batch one after another, so
    its weights have the same rounding.

    Returns:
        A row for each method.

    Raises:
        ValueError: A setting is out of range.
        RuntimeError: A run failed.
    """
    settings.check()
    methods = settings.methods or gradient_methods()
    part = -(-int(SETTINGS["batch_size"]) // settings.processes)
    runs: list[dict[str, Any]] = [
        {"method": method, "epochs": settings.epochs, "seed": settings.seed} for method in methods
    ]
    with tempfile.TemporaryDirectory() as place:
        for name, processes, changes in (
            ("one", 1, {}),
            ("several", settings.processes, {}),
            ("micro batch", 1, {"micro_batch": part}),
        ):
            say(f"{len(runs)} runs in {processes} process{'es' * (processes > 1)} {changes or ''}")
            execute([arguments | changes for arguments in runs], Path(place) / name, processes)
        rows = [_row(arguments, Path(place), position, settings) for position, arguments in enumerate(runs)]
    show(_table(rows))
    if settings.json is not None:
        write_json(settings.json, rows)
    return rows


def _row(arguments: dict[str, Any], place: Path, position: int, settings: ParallelSettings) -> dict[str, Any]:
    one, several, parts = (RunFolder(place / name / str(position)) for name in ("one", "several", "micro batch"))
    stream = resolve(configuration(**arguments)).stream
    return {
        "method": arguments["method"],
        "processes": settings.processes,
        "gradient_steps": len(one.read_steps()),
        **difference(several, one, stream).as_json(),
        "weights_of_micro_batch": difference(several, parts, stream).weights,
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Largest absolute differences from one process; in the last column from one with micro_batch")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), no_wrap=True)
    for row in rows:
        table.add_row(*(f"{value:.1e}" if isinstance(value, float) else str(value) for value in row.values()))
    return table

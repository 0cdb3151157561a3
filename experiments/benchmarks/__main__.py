"""`python -m experiments.benchmarks NAME`: the benchmarks. Some have options of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import tyro
from rich.table import Table

from cls_env.command_line.errors import answer
from cls_env.specification import lookup
from experiments.benchmarks.measuring import Measurement
from experiments.console import show
from experiments.files import write_json


def _measured(name: str, repeats: int) -> list[Measurement]:
    """The rows of a benchmark, whose module is imported only then."""
    rows: list[Measurement] = getattr(import_module(f"experiments.benchmarks.{name}"), f"benchmark_{name}")(repeats)
    return rows


BENCHMARKS: dict[str, Callable[[int], list[Measurement]]] = {
    name: partial(_measured, name)
    for name in ("env", "data", "learner", "augmentation", "methods", "compile", "precision", "scaling", "startup")
}


def benchmark(name: tyro.conf.Positional[str], repeats: int = 5, json: Path | None = None) -> None:
    """Measure speed as ratios: both sides in turn in one process, after a warm-up.

    Args:
        name: env (vector env against Gymnasium's), data (store against DataLoader and numpy.take), learner (EPG against
            a bare loop), augmentation (random crops against torchvision's), methods (each continual-learning method
            against sequential fine-tuning), compile (compiled blocks against eager ones), precision
            (bfloat16 against float32), scaling (long streams and many classes against short ones), startup (the command
            line against bare imports). gpu (is training on a GPU right, and how fast), faults (what stops, hostile
            files and wrong input do), engines (runs on Ray and Slurm) and parallel (runs in several processes against
            runs in one) have options of their own, see `gpu --help`.
        repeats: How often each side is timed; the median is reported, with the smallest and largest ratio.
        json: Also write the rows here.

    --debug, anywhere on the line, shows the traceback of an error.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    rows = lookup("benchmark", name, BENCHMARKS)(repeats)
    table = Table()
    for column in ("row", "ratio", "value", "against", "unit", "repeats", "spread"):
        table.add_column(column, no_wrap=column != "row")
    for row in rows:
        figures = ["" if number is None else f"{number:,.3g}" for number in (row.ratio, row.value, row.against)]
        table.add_row(row.row, *figures, row.unit, str(row.repeats), f"{row.spread[0]:,.3g} ... {row.spread[1]:,.3g}")
    show(table)
    if json is not None:
        write_json(json, [row.as_json() for row in rows])


def main() -> int:
    """Run the command line.

    Returns:
        The exit code: 0 when it went well, 2 with one line of explanation when its input was wrong, 1 with one line for
        any other error, 130 when it was interrupted.
    """
    try:
        return answer(run_command_line)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def run_command_line(words: list[str]) -> None:
    """Run the benchmark of a command line."""
    prog = "python -m experiments.benchmarks"
    if words[:1] == ["gpu"]:
        from experiments.benchmarks.gpu.schedule import benchmark_gpu
        from experiments.benchmarks.gpu.settings import GpuSettings

        benchmark_gpu(tyro.cli(GpuSettings, args=words[1:], prog=f"{prog} gpu"))
    elif words[:1] == ["faults"]:
        from experiments.benchmarks.faults.schedule import benchmark_faults
        from experiments.benchmarks.faults.settings import FaultSettings

        benchmark_faults(tyro.cli(FaultSettings, args=words[1:], prog=f"{prog} faults"))
    elif words[:1] == ["engines"]:
        from experiments.benchmarks.engines.schedule import benchmark_engines
        from experiments.benchmarks.engines.settings import EngineSettings

        benchmark_engines(tyro.cli(EngineSettings, args=words[1:], prog=f"{prog} engines"))
    elif words[:1] == ["parallel"]:
        from experiments.benchmarks.parallel.schedule import benchmark_parallel
        from experiments.benchmarks.parallel.settings import ParallelSettings

        benchmark_parallel(tyro.cli(ParallelSettings, args=words[1:], prog=f"{prog} parallel"))
    else:
        tyro.cli(benchmark, args=words, prog=prog)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m experiments.benchmarks NAME`: env, data, learner, augmentation, methods or gpu."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from cls_env.naming import lookup
from experiments.benchmarks.augmentation import benchmark_augmentation
from experiments.benchmarks.data import benchmark_data
from experiments.benchmarks.env import benchmark_env
from experiments.benchmarks.gpu import benchmark_gpu
from experiments.benchmarks.learner import benchmark_learner
from experiments.benchmarks.measuring import Row
from experiments.benchmarks.methods import benchmark_methods
from experiments.files import write_json

BENCHMARKS: dict[str, Callable[[int], list[Row]]] = {
    "env": benchmark_env,
    "data": benchmark_data,
    "learner": benchmark_learner,
    "augmentation": benchmark_augmentation,
    "methods": benchmark_methods,
    "gpu": benchmark_gpu,
}


def benchmark(name: tyro.conf.Positional[str], repeats: int = 5, json: Path | None = None) -> None:
    """Measure speed as ratios: both sides in turn in one process, after a warm-up.

    Args:
        name: env (vector env against Gymnasium's), data (store against DataLoader and numpy.take), learner (EPG against
            a bare loop), augmentation (random crops against torchvision's), methods (each continual-learning method
            against sequential fine-tuning), gpu (ViT-B/16 with LoRA).
        repeats: How often each side is timed; the median is reported, with the smallest and largest ratio.
        json: Also write the rows here.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    rows = lookup("benchmark", name, BENCHMARKS)(repeats)
    table = Table("row", "ratio", "value", "against", "unit", "repeats", "spread")
    for row in rows:
        figures = ["" if number is None else f"{number:,.3g}" for number in (row.ratio, row.value, row.against)]
        table.add_row(row.row, *figures, row.unit, str(row.repeats), f"{row.spread[0]:,.3g} ... {row.spread[1]:,.3g}")
    Console().print(table)
    if json is not None:
        write_json(json, [row.as_json() for row in rows])


def main() -> int:
    """Run the command line; 2 with one line of explanation when its input was wrong."""
    try:
        tyro.cli(benchmark, prog="python -m experiments.benchmarks")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

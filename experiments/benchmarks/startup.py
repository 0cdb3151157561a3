"""How soon the command line answers, against the import of the libraries that it can't do without."""

from __future__ import annotations

import subprocess
import sys

from experiments.benchmarks.measuring import Measurement, Side, compare_rates

LINES = (
    "--help",
    "compare --help",
    "presets",
    "objectives",
    "methods",
    "modules",
    "study",
    "nonsense",
    "run --method nonsense",
)


def benchmark_startup(repeats: int) -> list[Measurement]:
    """Answers a second of `python -m experiments LINE`, against `python -c "import numpy, gymnasium, tyro"`."""
    bare = _process("-c", "import numpy, gymnasium, tyro")
    return [
        compare_rates(
            f"{line} / import of the libraries", _process("-m", "experiments", *line.split()), bare, "1/s", repeats
        )
        for line in LINES
    ]


def _process(*words: str) -> Side:
    def side() -> int:
        subprocess.run([sys.executable, *words], capture_output=True, check=False)
        return 1

    return side

"""What the benchmark of several processes runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agents.methods import METHODS
from cls_env.specification import lookup, parse_specification


def gradient_methods() -> tuple[str, ...]:
    """The methods that learn by gradients."""
    return tuple(name for name in METHODS if METHODS[name].learns_by_gradient)


@dataclass(frozen=True, kw_only=True)
class ParallelSettings:
    """Train each method in one process and in several, on the CPU, and print the largest differences.

    The processes exchange their parts by gloo. --debug, anywhere on the line, shows the traceback of an error.
    """

    methods: tuple[str, ...] = ()
    """Methods to train. By default all that learn by gradients."""
    processes: int = 2
    """Processes that train together."""
    epochs: int = 4
    """Epochs of each of the three tasks."""
    seed: int = 0
    """Of the runs."""
    json: Path | None = None
    """Write the rows here."""

    def check(self) -> None:
        """Check the ranges and the methods.

        Raises:
            ValueError: A number is too small, or a method is unknown or learns without gradients.
        """
        for name, least in (("processes", 2), ("epochs", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        for method in self.methods:
            if not lookup("method", parse_specification(method)[0], METHODS).learns_by_gradient:
                raise ValueError(f"{method} learns without gradients: it is not trained by several processes")

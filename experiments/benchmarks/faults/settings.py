"""What the benchmark of faults tries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class FaultSettings:
    """Try what must not do harm: stops of runs, hostile files and wrong input; and measure what checkpoints cost.

    The exit code is 1 if any of it did harm. --debug, anywhere on the line, shows the traceback of an error.
    """

    runs: int = 100
    """Runs that are stopped one to three times at random moments, and compared with undisturbed ones."""
    inputs: int = 10_000
    """Random arguments, specifications and command lines."""
    parts: tuple[Literal["stops", "hostile", "inputs", "cost"], ...] = ("stops", "hostile", "inputs", "cost")
    """stops (of runs), hostile (files), inputs (wrong ones), cost (of checkpoints)."""
    seed: int = 0
    """Of all that is random."""
    json: Path | None = None
    """Write the rows here."""

    def check(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: A number is below 1, or no part is named.
        """
        for name in ("runs", "inputs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.parts:
            raise ValueError("parts must name at least one")

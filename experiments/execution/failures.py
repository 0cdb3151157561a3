"""The runs of a comparison that failed."""

from __future__ import annotations

from experiments.config.entry import Entry
from experiments.console import warn
from experiments.runs.errors import RunFailedError


class Failures:
    """Collects runs that failed, and says so at once."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def add(self, entry: Entry, reason: str) -> None:
        """Add a run."""
        self._reasons[entry.config.name] = reason
        warn(f"the run {entry.config.name} failed: {reason}")

    def check(self, total: int) -> None:
        """Check that no run failed.

        Args:
            total: Number of all runs.

        Raises:
            RunFailedError: Some did; the message names them.
        """
        if not self._reasons:
            return
        failed = [f"the run {name} failed: {reason}" for name, reason in self._reasons.items()]
        rest = total - len(failed)
        others = f"; the other {rest} are finished" if rest > 1 else "; the other one is finished" if rest else ""
        count = f"{len(failed)} runs failed{others}: " if len(failed) > 1 else ""
        raise RunFailedError(f"{count}{'; '.join(failed)}{'' if count else others}")

"""The log of gradient steps: SB3's CSV format with columns in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stable_baselines3.common.logger import CSVOutputFormat


class _Sorted(list[str]):
    """A list that adds names in alphabetical order; SB3 adds them from a set, whose order varies."""

    def extend(self, names: Iterable[str]) -> None:
        super().extend(sorted(names))


def step_log(folder: Path, suffix: str) -> CSVOutputFormat:
    """The log `progress<suffix>.csv` in a folder, which is created if it is missing."""
    folder.mkdir(exist_ok=True)
    log = CSVOutputFormat(str(folder / f"progress{suffix}.csv"))
    log.keys = _Sorted()
    return log

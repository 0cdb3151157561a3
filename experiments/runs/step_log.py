"""A row for each gradient step, as stable-baselines3 writes it, with its columns in one order."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stable_baselines3.common.logger import CSVOutputFormat


class _Sorted(list[str]):
    """Names that are added in the order of the alphabet: stable-baselines3 adds a set, whose order is any."""

    def extend(self, names: Iterable[str]) -> None:
        super().extend(sorted(names))


def step_log(folder: Path, suffix: str) -> CSVOutputFormat:
    """The log `progress<suffix>.csv` in a folder, which is made where it is missing."""
    folder.mkdir(exist_ok=True)
    log = CSVOutputFormat(str(folder / f"progress{suffix}.csv"))
    log.keys = _Sorted()
    return log

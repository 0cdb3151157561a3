"""The log of gradient steps: SB3's CSV format with columns in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stable_baselines3.common.logger import CSVOutputFormat


class _Sorted(list[str]):
    """A list that adds names in alphabetical order; SB3 adds them from a set, whose order varies."""

    def extend(self, names: Iterable[str]) -> None:
        super().extend(sorted(names))


def step_log_file(folder: Path, suffix: str) -> Path:
    """The file of a log in a folder."""
    return folder / f"progress{suffix}.csv"


def step_log(folder: Path, suffix: str, begun: str = "") -> CSVOutputFormat:
    """The log `progress<suffix>.csv` in a folder, which is created if it is missing.

    Args:
        folder: The folder.
        suffix: End of the file's name.
        begun: Header and rows that the log has already, in a run that is resumed.
    """
    folder.mkdir(exist_ok=True)
    log = CSVOutputFormat(str(step_log_file(folder, suffix)))
    log.keys = _Sorted(begun.partition("\n")[0].strip().split(",") if begun else ())
    log.file.write(begun)
    log.file.flush()
    return log

"""The rows of the GPU benchmark. All that are known are in the file at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from experiments.console import say
from experiments.files import write_json


@dataclass(frozen=True)
class Row:
    """A figure or a fact.

    Attributes:
        row: What it is.
        value: The figure; or text, also for what was skipped or failed.
        unit: Of the figure.
        against: The bound that it should keep, or the figure that it is compared with.
    """

    row: str
    value: float | str
    unit: str = ""
    against: float | None = None


Check = Callable[[], Iterable[Row]]
"""Measures something. Rows are written when they are yielded."""


class Report:
    """Prints rows and keeps them in a JSON file.

    Args:
        file: The file, or None for no file.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.rows: list[tuple[str, Row]] = []

    def add(self, part: str, row: Row) -> None:
        """Add a row of a part."""
        self.rows.append((part, row))
        value = row.value if isinstance(row.value, str) else f"{row.value:,.4g}"
        against = "" if row.against is None else f"  (against {row.against:,.4g})"
        say(f"{part:8} {row.row:70} {value} {row.unit}{against}")
        if self._file is not None:
            write_json(self._file, [{"part": part} | asdict(row) for part, row in self.rows])

"""Printing to the terminal: plain text without markup, and tables in which no number is cut."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from cls_env.command_line.printable import printable

PLAIN: dict[str, Any] = {"markup": False, "emoji": False}
"""Arguments that switch markup off: names and paths may contain brackets and colons."""
WIDEST = 1_000_000
LONGEST_WORD = 40
"""A column that wraps is as wide as its longest word, up to this."""

console = Console(**PLAIN)


def say(content: object, style: str | None = None, highlight: bool | None = None) -> None:
    """Print a line of text, or an object; only the terminal itself breaks lines.

    Args:
        content: What to print.
        style: A style of rich, such as `"bold"`.
        highlight: Whether numbers and paths are colored; by default they are.
    """
    console.print(content, style=style, highlight=highlight, soft_wrap=True)


def warn(text: str) -> None:
    """Print a line of warning on standard error."""
    Console(**PLAIN, stderr=True).print(
        f"warning: {printable(text)}", style="bold yellow", highlight=False, soft_wrap=True
    )


def typed_command() -> str:
    """The command that was typed, as tables and reports name it."""
    return f"cls-env {shlex.join(sys.argv[1:])}"


def titled(name: str, rest: str) -> Text:
    """A line that begins with a name in bold."""
    return Text.assemble((name, "bold"), "  ", rest)


def show(*tables: Table) -> None:
    """Print tables.

    A column with `no_wrap` keeps its width in a narrow terminal; others wrap between words. In a pipe or a file
    nothing wraps. Nothing is ever cut.
    """
    for table in tables:
        for column in table.columns:
            column.overflow = "fold"
            cells = list(map(str, [column.header, *column.cells]))
            if column.no_wrap:
                column.min_width = max(cell_len(line) for cell in cells for line in cell.splitlines() or [""])
            else:
                words = (cell_len(word) for cell in cells for word in cell.split())
                column.min_width = min(max(words, default=0), LONGEST_WORD)
        title, table.title = table.title, None
        if title:
            say(title, style="italic", highlight=False)
        needed = Measurement.get(console, console.options.update(max_width=WIDEST), table)
        width = needed.minimum if console.is_terminal else needed.maximum
        Console(**PLAIN, width=max(console.width, width)).print(table)


def progress_bar() -> Progress:
    """A rich progress bar with description, count, elapsed and remaining time."""
    return Progress(
        TextColumn("{task.description}", style="progress.description", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )

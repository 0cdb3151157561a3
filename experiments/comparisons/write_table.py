"""Writes and prints a table that a comparison has in addition to its main one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from experiments.console import say, show, typed_command
from experiments.files import replace_file, write_text
from experiments.reports.latex import latex, with_arrows
from experiments.reports.tables import directions, markdown, rich_tables, with_display_names


def write_table(table: pd.DataFrame, path: Path, explanation: str, caption: str) -> None:
    """Write a table as Markdown with its explanation, LaTeX with its caption, and CSV, and print it.

    Args:
        table: The table.
        path: The files, without their suffixes.
        explanation: What its columns mean.
        caption: For LaTeX.
    """
    explained = f"{explanation} ".lstrip()
    named, better = with_display_names(table), directions()
    made = f"{markdown(with_arrows(named, better))}\n\n{explained}Made by `{typed_command()}`.\n"
    write_text(path.with_suffix(".md"), made)
    write_text(path.with_suffix(".tex"), latex(named, caption, f"{path.parent.name}-{path.name}", better))
    replace_file(path.with_suffix(".csv"), lambda aside: table.to_csv(aside, index=False))
    say("")
    show(*(rich_tables(table) if "contender" in table else [_plain(named)]))
    say(f"table {path.with_suffix('.md')}")


def _plain(table: pd.DataFrame) -> Table:
    shown = Table(box=SIMPLE_HEAD, show_edge=False)
    for column in table.columns:
        shown.add_column(column, no_wrap=True)
    for row in table.itertuples(index=False):
        shown.add_row(*map(str, row))
    return shown

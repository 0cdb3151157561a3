"""Tables of the catalogue."""

from __future__ import annotations

from rich.table import Table

from experiments.catalogue.names import rows


def table(kind: str, heading: str) -> Table:
    """All of a kind, one a line.

    Args:
        kind: Such as `"objective"`.
        heading: Of the names.
    """
    known = rows(kind)
    columns = list(next(iter(known.values())))
    made = Table(box=None, padding=(0, 2, 0, 0))
    for column in (heading, *columns):
        made.add_column(column, overflow="fold")
    for name, row in known.items():
        made.add_row(name, *(row[column] for column in columns))
    return made

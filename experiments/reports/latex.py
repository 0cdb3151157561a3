"""Tables for papers: LaTeX floats with a caption, a label, arrows in headings, and the best values in bold.

They need the packages booktabs and graphicx.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

ARROWS = {"higher": "↑", "lower": "↓"}
"""Marks of headings, by `Measure.better`."""
GROUPS = ("condition", "stream")
"""Columns within whose values the best is looked for, and between which a line is drawn."""
READING = "Bold: the best mean of each group of rows. ↑: higher is better, ↓: lower is better."
_SPECIAL = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "{}$&%#_"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{sign: f"${sign}$" for sign in "<>|"},
        **{"±": r"$\pm$", "−": "$-$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "²": "$^2$", "³": "$^3$"},
    }
)
_MINUS = re.compile(r"(?:^|(?<=[ \[]))-(?=\d)")
_ACCURACY = re.compile(r"(?<!\w)A\\_T(?!\w)")
_SHRUNK = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Shrinks a table that is wider than the text."""


def latex(table: pd.DataFrame, caption: str, label: str, better: Mapping[str, str]) -> str:
    """A table float, in which signs are typeset and special characters escaped.

    Args:
        table: The table, as text.
        caption: Plain text. How to read arrows and bold values is added, if there are any.
        label: Name for references, which becomes `tab:` and its letters and digits.
        better: `"higher"` or `"lower"` by heading: such a heading has an arrow, and its best values are bold.
    """
    named = with_arrows(table, better)
    words = f"{caption} {READING}" if set(better) & set(table) else caption
    bold = best_values(table, better).set_axis(named.columns, axis=1)
    marks = bold.map(lambda best: "textbf:--rwrap;" if best else "")
    style = named.style.hide(axis="index").format(typeset).format_index(typeset, axis="columns")
    text = style.apply(lambda _: marks, axis=None).to_latex(
        hrules=True, position="t", position_float="centering", caption=typeset(words), label=_label(label)
    )
    text = text.replace(r"\begin{tabular}", f"{_SHRUNK}\n\\begin{{tabular}}")
    return _with_lines(text.replace(r"\end{tabular}", "\\end{tabular}}"), table)


def table_caption(title: str, dataset: str, seeds: str, *sentences: str) -> str:
    """The caption of a table, as plain text.

    Args:
        title: What is compared; may be empty.
        dataset: Name of the images; may be empty.
        seeds: Number of seeds in words.
        sentences: What the numbers mean.
    """
    beginning = f"{title.rstrip('.')}." if title else ""
    images = f"Dataset: {dataset}, {seeds}." if dataset else f"{seeds[:1].upper()}{seeds[1:]}."
    return " ".join(filter(None, [beginning, images, *sentences]))


def with_arrows(table: pd.DataFrame, better: Mapping[str, str]) -> pd.DataFrame:
    """Add an arrow to the headings of measures of which higher, or lower, values are better."""
    return table.rename(
        columns=lambda heading: f"{heading} {ARROWS[better[heading]]}" if heading in better else heading
    )


def best_values(table: pd.DataFrame, better: Mapping[str, str]) -> pd.DataFrame:
    """Which cells have the best mean of their group of rows: all of those that look equal, unless all rows do.

    Args:
        table: The table, as text. A mean is the number with which a cell begins.
        better: `"higher"` or `"lower"` by heading.

    Returns:
        True and False in the shape of the table.
    """
    best = pd.DataFrame(False, table.index, table.columns)
    groups = [column for column in GROUPS if column in table][:1]
    for _, rows in table.groupby(groups, sort=False) if groups else [("", table)]:
        for heading in set(better) & set(table):
            text = rows[heading].astype(str).str.replace(",", "")
            means = pd.to_numeric(text.str.extract(r"^([+-]?\d+\.?\d*)", expand=False))
            ideal = means.max() if better[heading] == "higher" else means.min()
            if means.nunique() > 1:
                best.loc[rows.index, heading] = means == ideal
    return best


def typeset(value: object) -> str:
    r"""A value as LaTeX: special characters are escaped, and signs typeset.

    >>> typeset("A_T % ±"), typeset("-0.4 [-0.9, +0.1]"), typeset("blocks 0-4")
    ('$A_T$ \\% $\\pm$', '$-$0.4 [$-$0.9, +0.1]', 'blocks 0-4')
    """
    line = " ".join(str(value).splitlines())
    escaped = _MINUS.sub("−", line).translate(_SPECIAL)
    return _ACCURACY.sub("$A_T$", escaped)


def _label(name: str) -> str:
    return "tab:" + re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")


def _with_lines(text: str, table: pd.DataFrame) -> str:
    """Draw a line wherever the group changes."""
    columns = [column for column in GROUPS if column in table][:1]
    if not columns:
        return text
    groups = table[columns[0]].tolist()
    lines = text.splitlines()
    first = lines.index(r"\midrule") + 1
    for row in reversed(range(1, len(groups))):
        if groups[row] != groups[row - 1]:
            lines.insert(first + row, r"\midrule")
    return "\n".join(lines) + "\n"

"""Notebooks as Markdown pages, with the outputs that they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from nbconvert import MarkdownExporter
from traitlets.config import Config

NOTE = """!!! tip "This page is a notebook"
    `make notebooks` opens it in Jupyter, where you can change and run it: `{path}`. It needs no GPU and no network."""

NEIGHBORS = re.compile(r"^\[[^\n]*[←→][^\n]*\)$", re.MULTILINE)
"""The line of links to the notebooks before and after, which the site has at the foot of each page."""


class NotebookPage(NamedTuple):
    """A notebook as a page.

    Attributes:
        text: Markdown.
        pictures: Contents of the picture files beside it, by name.
    """

    text: str
    pictures: Mapping[str, bytes]


def notebook_page(notebook: Path, path: str) -> NotebookPage:
    """Convert a notebook without running it.

    Args:
        notebook: The file.
        path: What the page calls it.
    """
    settings = Config()
    settings.NbConvertBase.display_data_priority = ["image/png", "image/jpeg", "text/plain"]
    settings.ExtractOutputPreprocessor.output_filename_template = notebook.stem + "_{cell_index}_{index}{extension}"
    text, resources = MarkdownExporter(config=settings).from_filename(str(notebook))
    heading, _, rest = NEIGHBORS.sub("", text).lstrip().partition("\n")
    text = f"{heading}\n\n{NOTE.format(path=path)}\n{rest}"
    return NotebookPage(_open_details(_without_empty_cells(_fenced_outputs(text))), resources["outputs"])


def _fenced_outputs(text: str) -> str:
    """Printed text in fences: nbconvert indents it by four spaces, between two empty lines."""

    def fence(block: re.Match[str]) -> str:
        lines = "\n".join(line[4:] for line in block[0].strip("\n").split("\n")).strip()
        return f"\n\n```text\n{lines}\n```\n\n" if lines else "\n\n"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    blocks = r"\n\n(?:    .*\n|\n(?=\n*    ))+"
    return "".join(part if part.startswith("```") else re.sub(blocks, fence, part) for part in parts)


def _without_empty_cells(text: str) -> str:
    """Without the empty cells for answers, in which a page has nothing to type."""
    return re.sub(r"^```python\n\s*```\n+", "", text, flags=re.MULTILINE)


def _open_details(text: str) -> str:
    """Folded solutions, whose contents are Markdown."""
    return text.replace("<details>", '<details markdown="1">')

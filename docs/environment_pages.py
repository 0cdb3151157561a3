"""Generates the environments' documentation from their docstrings, in the form of Gymnasium's pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from pathlib import Path
from typing import Any

from site_source.markdown import page, table, write

from cls_env.datasets import DATASETS
from cls_env.envs.class_incremental import ClassIncrementalEnv
from cls_env.envs.registration import ENVIRONMENTS
from cls_env.envs.vector import ClassIncrementalVectorEnv

GENERAL = "cls_env/ClassIncremental-v0"


def environment_page() -> str:
    """The page of the environment that all ids share: its spaces and its manual."""
    manual = markdown(ClassIncrementalEnv.__doc__ or "")
    vectorized = markdown(ClassIncrementalVectorEnv.__doc__ or "")
    before, heading, history = manual.partition("## Version History")
    env = ClassIncrementalEnv()
    spaces = {
        "Action Space": f"`{env.action_space}`",
        "Observation Space": f"`{env.observation_space}`",
        "import": f'`gymnasium.make("{GENERAL}")`',
    }
    return page(
        "Class Incremental",
        "The spaces are those of the default dataset. [The other ids](index.md) have other datasets.",
        table(("", ""), spaces.items()),
        f"{before.rstrip()}\n\n### ClassIncrementalVectorEnv\n\n{vectorized}\n\n{heading}{history}",
    )


def index_page() -> str:
    """The page that lists the registered ids and their datasets."""
    columns = ("id", "dataset", "training / test images", "classes", "observation", "tasks")
    return page(
        "Environments",
        "`import cls_env` registers these ids for `gymnasium.make` and `gymnasium.make_vec`. All of them are "
        "[the same environment](class_incremental.md) with different datasets.",
        table(columns, (_row(name, preset) for name, preset in ENVIRONMENTS.items())),
        "An observation is an RGB image of this height and width in pixels by default. `dataset_options` changes it. "
        "`cls-env datasets` shows the size as published, the source and the license of each dataset, "
        "`cls-env download` downloads it.",
    )


def pages() -> dict[str, str]:
    """All pages, by file name."""
    return {"index.md": index_page(), "class_incremental.md": environment_page()}


def write_pages(folder: Path) -> list[Path]:
    """Write the pages, each atomically.

    Returns:
        Their paths.
    """
    return write(folder, pages())


def markdown(docstring: str) -> str:
    """Convert a docstring to Markdown, with fenced examples, one line per table row, and Google's sections as lists.

    >>> print(markdown('''Add.
    ...
    ...     Args:
    ...         x: A number,
    ...             or two.
    ...     '''))
    Add.
    <BLANKLINE>
    **Args**
    <BLANKLINE>
    - `x`: A number, or two.
    """
    return "\n\n".join(_block(block) for block in re.split(r"\n{2,}", cleandoc(docstring)))


def _block(block: str) -> str:
    if block.startswith(">>> "):
        return f"```python\n{block}\n```"
    if block.startswith("|"):
        return _one_line_rows(block)
    if section := re.match(r"(Args|Attributes|Raises|Returns):\n", block):
        entries = re.sub(r"\n {8,}", " ", block[section.end() :])
        listed = re.sub(r"^ {4}(\S+?): ", r"- `\1`: ", entries, flags=re.MULTILINE)
        return f"**{section[1]}**\n\n{listed}"
    return block


def _one_line_rows(table: str) -> str:
    """Join table rows that continue in the next line, whose first cell is empty."""
    rows: list[list[str]] = []
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if rows and not cells[0]:
            rows[-1] = [f"{above} {cell}".strip() for above, cell in zip(rows[-1], cells, strict=True)]
        else:
            rows.append(["---"] * len(cells) if set("".join(cells)) == {"-"} else cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(name: str, preset: Mapping[str, Any]) -> Iterator[str]:
    """The table row of an id, from the card of its dataset. No image is loaded."""
    yield f"[`{name}`](class_incremental.md)"
    if not preset:
        yield from ("any, by default that of the next line", "", "", "", "any")
        return
    card = DATASETS[preset["dataset"]]
    yield card.title
    yield f"{card.images[0]:,} / {card.images[1]:,}" if card.images else ""
    yield f"{card.classes:,}" if card.classes else ""
    side = card.observation_size or card.image_size
    yield f"{side} x {side}"
    yield str(preset["num_tasks"])


if __name__ == "__main__":
    for written in write_pages(Path(__file__).parent / "environments"):
        print(written)

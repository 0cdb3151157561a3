"""The code of documentation pages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SESSIONS = {name: DOCS / "guides" / f"{name}.md" for name in ("own_images", "resume", "continue_model", "export")}
"""Pages, by name, whose blocks are run one after the other, in one folder."""
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and code of each block of Python and Bash. Examples of the interpreter (`>>>`) are doctests."""
    return [(match[1], match[2]) for match in BLOCK.finditer(text_of(page)) if not match[2].startswith(">>>")]


def python_blocks(page: Path) -> list[str]:
    return [code for language, code in blocks(page) if language == "python"]


def commands(code: str) -> Iterator[list[str]]:
    """The arguments of each command of this package in Bash code."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["cls-env"]:
            yield words[1:]

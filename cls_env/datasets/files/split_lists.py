"""Lists of files that define the training and test split, in the usual formats."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar
from unicodedata import normalize

Value = TypeVar("Value")
_FILE = re.compile(r"[/\\]|\.[A-Za-z][A-Za-z0-9]{1,4}\b")
"""A slash, or a suffix."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_lines(file: Path) -> list[str]:
    """Read the lines of a text file from any operating system.

    The encoding is UTF-8, UTF-16 or UTF-32 with a byte order mark, UTF-8 or UTF-16 without one, else Windows-1252.

    Raises:
        ValueError: The text does not match its byte order mark.
    """
    content = file.read_bytes()
    return re.split(r"\r\n|\n|\r", _decoded(content, file))


def _decoded(content: bytes, file: Path) -> str:
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    if encoding is None and b"\0" in content:  # PowerShell may omit the mark
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    try:
        return content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding is None:
            return content.decode("cp1252", errors="surrogateescape")
        raise ValueError(f"{file} is not text in {encoding}, as its beginning says: {error}") from error


def listed_files(lines: Sequence[str], known: Mapping[tuple[str, ...], Value]) -> Iterator[tuple[str, Value | None]]:
    """Match the lines of a list with paths.

    A line contains a path, possibly in quotes. A label before or after it is ignored, separated by a tab, comma,
    semicolon or spaces. Backslashes count as slashes. Empty lines are ignored, and so is a heading: a first line that
    contains no path and no file name.

    Args:
        lines: The lines of the list.
        known: Values by every ending of their path, as a tuple of its parts; see `by_ending`.

    Yields:
        Each line with the value of the longest matching ending, or with None if no path or several match.
    """
    heading = True
    for line in filter(None, (normalize("NFC", line.strip()) for line in lines)):
        if not heading or _FILE.search(line):
            yield line, _named(known, line)
        heading = False


def _named(known: Mapping[tuple[str, ...], Value | None], line: str) -> Value | None:
    """The value that a line matches, or None if it matches none or several."""
    whole = _longest(known, line)
    if whole is not None:
        return whole
    found = [value for field in _fields(line) if (value := _longest(known, field)) is not None]
    pieces = re.split("[\t,;]", line)
    before, _, last = line.rpartition(" ")
    if _longest(known, before) is not None:
        pieces.append(last)
    others = [value for piece in pieces if (value := _longest(known, piece)) not in (None, *found[:1])]
    return found[0] if found and not others else None


def by_ending(paths: Mapping[str, Value]) -> dict[tuple[str, ...], Value | None]:
    """Values by every ending of their path, or None if several paths share the ending."""
    known: dict[tuple[str, ...], Value | None] = {}
    for path, value in paths.items():
        parts = PurePosixPath(normalize("NFC", path)).parts
        for start in range(len(parts)):
            known[parts[start:]] = None if parts[start:] in known else value
    return known


def _fields(line: str) -> Iterator[str]:
    """Parts of a line that may be the path: the whole line, or the part before or after a separator."""
    yield line
    for separator in ("\t", ",", ";", " "):
        if separator in line:
            yield line.rpartition(separator)[0]
            yield line.partition(separator)[0]
            if separator != " ":  # "apple pie/0.png" does not mean pie/0.png
                yield line.partition(separator)[2]


def _parts(field: str) -> tuple[str, ...]:
    return PurePosixPath(field.strip().strip("\"'").replace("\\", "/")).parts


def _longest(known: Mapping[tuple[str, ...], Value | None], field: str) -> Value | None:
    """The value whose path has the longest common ending with a field: two parts or more, if the field has two."""
    for parts in dict.fromkeys((PurePosixPath(field).parts, _parts(field))):
        for start in range(max(len(parts) - 1, 1)):
            if parts[start:] in known:
                return known[parts[start:]]
    return None

"""Atomic writing of files, and reading with one-line errors."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cls_env.bounded.json_text import read_json as bounded_json
from cls_env.bounded.limits import RESULTS
from cls_env.bounded.regular_files import check_regular
from cls_env.bounded.zip_files import open_zip
from cls_env.command_line.errors import described
from cls_env.command_line.leftovers import remove_leftovers, temporary_prefix

TEXT = (".csv",)
MOST_TEXT_BYTES = 2**28
"""Bytes of a table; that of a task of a million steps has fewer."""
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_HALF_CHARACTER = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write to a temporary file next to `path`, then move it to `path`. Those of killed processes are removed.

    Args:
        path: The file. Its folder is created if missing.
        write: Receives the path of the temporary file.

    Raises:
        OSError: It can't be written, for example on a full disk; an existing file is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    aside = path.with_name(f"{temporary_prefix(path)}tmp")
    try:
        write(aside)
        aside.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk is noticed by a write, which knows no name
        raise
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; in it, names of files that are not UTF-8 keep their bytes.

    Other halves of characters, which no file name has, become question marks.
    """
    text = _HALF_CHARACTER.sub("\ufffd", text)
    replace_file(path, lambda aside: aside.write_text(text, encoding="utf-8", errors="surrogateescape"))


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON atomically; paths become strings, and names of files that are not UTF-8 are escaped."""
    text = json.dumps(content, indent=2, ensure_ascii=False, default=str)
    if not text.isascii() and _LONE_SURROGATE.search(text):
        text = json.dumps(content, indent=2, default=str)
    write_text(path, text + "\n")


def read_json(path: Path) -> Any:
    """The content of a file of `write_json`.

    Raises:
        ValueError: It is no JSON, nested more than 100 levels deep, or larger than 64 MiB.
        OSError: It can't be read.
    """
    return bounded_json(path)


@contextmanager
def reading(path: Path, advice: str) -> Iterator[None]:
    """Turn any error of reading a file into a ValueError of one line. Tables and zips such as `.npz` are within limits.

    Args:
        path: The file.
        advice: End of the message: what the user can do.

    Raises:
        ValueError: The file is missing, damaged, no regular file, a table of more than 256 MiB, or a zip that unpacks
            to far more than its own size.
    """
    try:
        check_regular(path)
        if path.suffix in TEXT and path.stat().st_size > MOST_TEXT_BYTES:
            raise ValueError(f"it has more than {MOST_TEXT_BYTES:,} bytes")
        if zipfile.is_zipfile(path):
            open_zip(path, RESULTS).close()
        yield
    except Exception as error:  # libraries raise different errors for damaged files
        raise ValueError(f"{path} can't be read ({described(error)}): {advice}") from error

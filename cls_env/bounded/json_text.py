"""JSON of bounded length and depth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cls_env.bounded.regular_files import check_regular

MOST_JSON_BYTES = 2**26
MOST_LEVELS = 100


def parse_json(text: str | bytes) -> Any:
    """The content of JSON.

    Raises:
        ValueError: It is no JSON, or nested more deeply than `MOST_LEVELS`, where programs that walk through it fail.
    """
    too_deep = f"its JSON is nested more than {MOST_LEVELS} levels deep"
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError(too_deep) from None
    level = [content]
    for _ in range(MOST_LEVELS):
        level = [inner for outer in level for inner in _within(outer)]
        if not level:
            return content
    raise ValueError(too_deep)


def read_json(file: Path, most_bytes: int = MOST_JSON_BYTES) -> Any:
    """The content of a JSON file.

    Args:
        file: The file.
        most_bytes: The largest that it may be.

    Raises:
        ValueError: It is larger, no regular file, or as `parse_json` refuses it.
        OSError: It can't be read.
    """
    check_regular(file)
    if (size := file.stat().st_size) > most_bytes:
        raise ValueError(f"it has {size:,} bytes, more than the {most_bytes:,} that such a file may have")
    return parse_json(file.read_text(encoding="utf-8"))


def _within(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [inner for inner in value.values() if isinstance(inner, dict | list)]
    return [inner for inner in value if isinstance(inner, dict | list)] if isinstance(value, list) else []

"""Numbers and text as the page embeds them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

DIGITS = 5
"""Significant digits of the numbers that a page embeds."""
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def compact(values: Iterable[float]) -> list[float | int | None]:
    """Numbers with few digits, and None for those that are not finite.

    >>> compact([1 / 3, 2.0, float("nan"), 123456.7])
    [0.33333, 2, None, 123460]
    """
    return [_short(float(value)) if np.isfinite(value) else None for value in values]


def _short(value: float) -> float | int:
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded


def finite(content: Any) -> Any:
    """JSON content in which numbers that are not finite are text, since JSON has none.

    >>> finite({"rates": [0.1, float("inf")]})
    {'rates': [0.1, 'inf']}
    """
    if isinstance(content, dict):
        return {str(name): finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return str(content) if isinstance(content, float) and not np.isfinite(content) else content


def script_json(content: Any) -> str:
    r"""JSON that can stand in a `<script>` element: no text in it can end the element.

    >>> script_json({"name": "</script>"})
    '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str)
    return "".join(_ESCAPES.get(letter, letter) for letter in text) if any(map(text.count, _ESCAPES)) else text

"""The pools of characters: one for pretraining, one for streams, without similar characters within or between them.

The pools are stored in `characters.json`, so that the classes never change. `python -m cls_env.datasets.glyphs` writes
this file with `select_characters`.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cls_env.datasets.glyphs.masks import FONTS, MASK_SIZE, first_mask, font_characters

CHARACTERS_FILE = Path(__file__).with_name("characters.json")
MAX_CORRELATION = 0.8
_SIMILARITY_SIZE = 16

PRETRAINING_BLOCKS: tuple[tuple[int, int], ...] = (
    (0x0030, 0x0039),  # digits
    (0x0041, 0x024F),  # Latin
    (0x0250, 0x02AF),  # IPA extensions
    (0x0370, 0x03FF),  # Greek
    (0x0400, 0x052F),  # Cyrillic
)
STREAM_BLOCKS: tuple[tuple[int, int], ...] = (
    (0x1401, 0x1676),  # Canadian syllabics
    (0x10A0, 0x10FF),  # Georgian
    (0x0E81, 0x0EDF),  # Lao
    (0x0621, 0x06FF),  # Arabic
    (0x0531, 0x058A),  # Armenian
    (0x05D0, 0x05F4),  # Hebrew
    (0x2190, 0x21FF),  # arrows
    (0x2200, 0x22FF),  # mathematical operators
    (0x2300, 0x23FF),  # technical signs
    (0x25A0, 0x26FF),  # geometric shapes, symbols
    (0x2701, 0x27BF),  # dingbats
    (0x27F0, 0x27FF),  # more arrows
)


@cache
def characters() -> dict[str, tuple[str, ...]]:
    """Read the stored pools.

    Returns:
        `{"pretraining": ..., "stream": ...}`, two disjoint tuples of characters.
    """
    pools = json.loads(CHARACTERS_FILE.read_text(encoding="utf-8"))
    return {name: tuple(pool) for name, pool in pools.items()}


def class_name(character: str) -> str:
    """A readable ASCII name, such as `"U+1403 canadian syllabics i"`."""
    return f"U+{ord(character):04X} {unicodedata.name(character).lower()}"


def silhouette(character: str) -> NDArray[np.float64]:
    """The first font's mask at 16 x 16, flat, centered, with unit norm: the dot product of two is their correlation."""
    block = MASK_SIZE // _SIMILARITY_SIZE
    drawn = first_mask(character)
    assert drawn is not None
    small = drawn.reshape(_SIMILARITY_SIZE, block, _SIMILARITY_SIZE, block).mean(axis=(1, 3)).ravel()
    centred = small - small.mean()
    return centred / np.linalg.norm(centred)


def select_characters() -> dict[str, list[str]]:
    """Select characters in the order of the blocks, unless they are similar to one selected before.

    Combining marks and characters composed of others are excluded, and so are characters whose silhouette has a
    correlation above 0.8 with a selected one of either pool.
    """
    kept: list[NDArray[np.float64]] = []
    pools: dict[str, list[str]] = {}
    for name, blocks in (("pretraining", PRETRAINING_BLOCKS), ("stream", STREAM_BLOCKS)):
        pools[name] = []
        for character in _candidates(blocks):
            shape = silhouette(character)
            if not kept or max(shape @ other for other in kept) <= MAX_CORRELATION:
                kept.append(shape)
                pools[name].append(character)
    return pools


def _candidates(blocks: Iterable[tuple[int, int]]) -> Iterator[str]:
    drawable = frozenset().union(*(font_characters(font) for font in FONTS))
    for first, last in blocks:
        for character in map(chr, range(first, last + 1)):
            whole = not unicodedata.decomposition(character) and unicodedata.category(character)[0] in "LNS"
            if whole and character in drawable and first_mask(character) is not None:
                yield character

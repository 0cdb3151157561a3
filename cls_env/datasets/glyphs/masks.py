"""Characters as 48 x 48 coverage masks, from the outlines of the fonts that ship with matplotlib.

Outlines are read in font units, unscaled and unhinted, so they are plain integers of the font files and do not depend
on the version of FreeType; their points are put on a 1/256 pixel grid before matplotlib's Agg fills them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.ft2font import FT2Font, LoadFlags
from matplotlib.path import Path as Outline
from matplotlib.transforms import IdentityTransform
from numpy.typing import NDArray

MASK_SIZE = 48
GLYPH_EXTENT = 34.0  # pixels along the longer side of a glyph's bounding box
_SUBPIXELS = 256.0

FONTS: tuple[str, ...] = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
)


@cache
def _font(name: str) -> FT2Font:
    return FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"))


@cache
def font_characters(font: str) -> frozenset[str]:
    """The characters for which a font has a glyph."""
    return frozenset(map(chr, _font(font).get_charmap()))


@cache
def mask(character: str, font: str) -> NDArray[np.uint8] | None:
    """Draw one character, centred and scaled to a common extent.

    Args:
        character: A single Unicode character that the font has.
        font: One of `FONTS`.

    Returns:
        Coverage in 0 ... 255, uint8 of shape (48, 48), read-only; None where the glyph has no outline (a space, say).
    """
    face = _font(font)
    face.load_char(ord(character), flags=LoadFlags.NO_SCALE)
    points, codes = face.get_path()
    drawn = points[codes != Outline.CLOSEPOLY]  # the vertex of a CLOSEPOLY is a placeholder
    if len(drawn) == 0:
        return None
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    pixels = (points - (low + high) / 2) * (GLYPH_EXTENT / (high - low).max()) + MASK_SIZE / 2
    pixels = np.round(pixels * _SUBPIXELS) / _SUBPIXELS
    renderer = RendererAgg(MASK_SIZE, MASK_SIZE, 72)
    pen = renderer.new_gc()
    pen.set_linewidth(0)
    renderer.draw_path(pen, Outline(pixels, codes), IdentityTransform(), (1.0, 1.0, 1.0))
    coverage = np.asarray(renderer.buffer_rgba())[..., 3].copy()
    coverage.flags.writeable = False
    return coverage


def masks(character: str) -> list[NDArray[np.uint8]]:
    """Every font's mask of a character, in the order of `FONTS`, without repetitions."""
    distinct: dict[bytes, NDArray[np.uint8]] = {}
    for font in FONTS:
        if character in font_characters(font) and (drawn := mask(character, font)) is not None:
            distinct.setdefault(drawn.tobytes(), drawn)
    return list(distinct.values())

"""Characters as 48 x 48 coverage masks, from the outlines of the fonts that come with matplotlib.

fontTools reads the outlines in font units, which are integers, so that the version of FreeType does not matter. Their
points are rounded to a 1/256 pixel grid before matplotlib's Agg fills them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np
from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTFont
from numpy.typing import NDArray


@contextmanager
def _any_backend() -> Iterator[None]:
    """Import matplotlib without the backend of the environment variable.

    The import fails if that backend is not installed, and masks need none. If it is installed, it becomes matplotlib's
    backend afterwards.
    """
    first, wanted = "matplotlib" not in sys.modules, os.environ.pop("MPLBACKEND", None)
    try:
        yield
    finally:
        if wanted is not None:
            os.environ["MPLBACKEND"] = wanted
    if first and wanted:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = wanted


with _any_backend():
    import matplotlib
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.path import Path as Outline
    from matplotlib.transforms import IdentityTransform

MASK_SIZE = 48
GLYPH_EXTENT = 34.0  # pixels, longer side of a glyph's bounding box
_SUBPIXELS = 256.0
_MOVE, _LINE, _CURVE, _CLOSE = map(int, (Outline.MOVETO, Outline.LINETO, Outline.CURVE3, Outline.CLOSEPOLY))

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


class _OutlinePen(BasePen):
    """Collects an outline's vertices and codes for matplotlib's Path."""

    def __init__(self, font: TTFont) -> None:
        super().__init__(font.getGlyphSet())
        self.points: list[tuple[float, float]] = []
        self.codes: list[int] = []

    def _moveTo(self, pt: tuple[float, float]) -> None:
        self._add(_MOVE, pt)

    def _lineTo(self, pt: tuple[float, float]) -> None:
        self._add(_LINE, pt)

    def _qCurveToOne(self, pt1: tuple[float, float], pt2: tuple[float, float]) -> None:
        self._add(_CURVE, pt1, pt2)

    def _closePath(self) -> None:
        self._add(_CLOSE, self.points[-1])

    def _add(self, code: int, *points: tuple[float, float]) -> None:
        self.points += points
        self.codes += [code] * len(points)


@cache
def _font(name: str) -> TTFont:
    return TTFont(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", lazy=True)


@cache
def _glyph_names(font: str) -> dict[int, str]:
    names: dict[int, str] = _font(font).getBestCmap()
    return names


@cache
def font_characters(font: str) -> frozenset[str]:
    """The characters that a font has a glyph for."""
    return frozenset(map(chr, _glyph_names(font)))


@cache
def mask(character: str, font: str) -> NDArray[np.uint8] | None:
    """Draw one character, centered and scaled to a common extent.

    Args:
        character: A single Unicode character that the font has.
        font: One of `FONTS`.

    Returns:
        Coverage in 0 ... 255, uint8 of shape (48, 48), read-only. None if the glyph has no outline, like a space.
    """
    pen = _OutlinePen(_font(font))
    pen.glyphSet[_glyph_names(font)[ord(character)]].draw(pen)
    if not pen.points:
        return None
    points = np.array(pen.points, dtype=np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    pixels = (points - (low + high) / 2) * (GLYPH_EXTENT / (high - low).max()) + MASK_SIZE / 2
    pixels = np.round(pixels * _SUBPIXELS) / _SUBPIXELS
    renderer = RendererAgg(MASK_SIZE, MASK_SIZE, 72)
    context = renderer.new_gc()
    context.set_linewidth(0)
    context.set_snap(False)  # the default rounds rectangular outlines to whole pixels
    renderer.draw_path(context, Outline(pixels, pen.codes), IdentityTransform(), (1.0, 1.0, 1.0))
    coverage = np.asarray(renderer.buffer_rgba())[..., 3].copy()
    coverage.flags.writeable = False
    return coverage


def masks(character: str) -> list[NDArray[np.uint8]]:
    """The distinct masks of a character, in the order of `FONTS`."""
    distinct: dict[bytes, NDArray[np.uint8]] = {}
    for drawn in _masks(character):
        distinct.setdefault(drawn.tobytes(), drawn)
    return list(distinct.values())


def first_mask(character: str) -> NDArray[np.uint8] | None:
    """The mask of a character in the first font that draws it; None if no font does."""
    return next(_masks(character), None)


def _masks(character: str) -> Iterator[NDArray[np.uint8]]:
    for font in FONTS:
        if character in font_characters(font) and (drawn := mask(character, font)) is not None:
            yield drawn

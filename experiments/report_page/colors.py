"""Colors of contenders that are readable on the page's light and dark background."""

from __future__ import annotations

from matplotlib.colors import to_hex, to_rgb

BACKGROUNDS = {"light": "#ffffff", "dark": "#16181d"}
"""Background of the charts in each color scheme; `page.css` has the same."""
CONTRAST = 3.0
"""Least contrast of a line with its background: WCAG 2.1, success criterion 1.4.11."""
_STEPS = 50


def readable(color: str, scheme: str) -> str:
    """The color, mixed with as little black or white as its contrast with the background needs.

    Args:
        color: `"#rrggbb"`.
        scheme: A key of `BACKGROUNDS`.

    >>> readable("#4d4d4d", "light"), readable("#000000", "dark") > "#606060"
    ('#4d4d4d', True)
    """
    background, towards = BACKGROUNDS[scheme], 0 if scheme == "light" else 1
    for step in range(_STEPS + 1):
        mixed = _mixed(color, towards, step / _STEPS)
        if contrast(mixed, background) >= CONTRAST:
            return mixed
    return mixed


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colors, in [1, 21], by WCAG 2.1.

    >>> round(contrast("#ffffff", "#000000"), 6)
    21.0
    """
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def _mixed(color: str, towards: int, share: float) -> str:
    red, green, blue = ((1 - share) * channel + share * towards for channel in to_rgb(color))
    return to_hex((red, green, blue))


def _luminance(color: str) -> float:
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

"""Numbers as tables, legends and lines show them: one value is rounded in one way everywhere."""

from __future__ import annotations

NOISE_DIGITS = 6
"""Digits after the point beyond which a number in percent is rounding noise of its computation."""


def rounded(value: float, digits: int = 1, sign: str = "") -> str:
    """A number with some digits after the point. Noise is removed first, so that equal means are rounded alike.

    Args:
        value: The number.
        digits: Digits after the decimal point.
        sign: `"+"` to show the sign of positive numbers and of zero too.

    >>> rounded(67.25), rounded(67.25 + 1e-12), rounded(-1e-9), rounded(3.14159, 2), rounded(1, sign="+")
    ('67.2', '67.2', '0.0', '3.14', '+1.0')
    """
    return f"{round(round(float(value), NOISE_DIGITS), digits) + 0.0:{sign}.{digits}f}"

"""LaTeX formulas as MathML, which browsers draw without a script."""

from __future__ import annotations

import re
from html import unescape

from latex2mathml.converter import convert

FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">(?:\\\((?P<inline>.*?)\\\)|\\\[(?P<block>.*?)\\\])</(?P=tag)>', re.DOTALL
)
"""A formula as `pymdownx.arithmatex` leaves it."""


def with_mathml(html: str) -> str:
    r"""The HTML of a page with its formulas as MathML.

    >>> with_mathml('<span class="arithmatex">\\(x\\)</span>')
    '<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline"><mrow><mi>x</mi></mrow></math>'
    """
    return FORMULA.sub(_mathml, html)


def _mathml(formula: re.Match[str]) -> str:
    if formula["inline"] is not None:
        return convert(unescape(formula["inline"]).strip())
    return convert(unescape(formula["block"]).strip(), display="block")

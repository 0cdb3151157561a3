"""Captions of figures: the dataset, the number of seeds, and what bands and bars are."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import fill

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

UNCORRECTED = "not corrected for the number of comparisons"
PAIRED = f"Differences are paired by seed; their intervals are {UNCORRECTED}."
_ID = "caption"
_SIZE = 8
"""In points."""


def add_caption(figure: Figure, *sentences: str) -> None:
    """Write sentences below a figure, after those that are there.

    They are outside the figure's box, so that they cover nothing. A file has them if it is saved with
    `bbox_inches="tight"`, as `save_figures` and notebooks do.
    """
    _write(figure, [caption_of(figure), *sentences])


def name_dataset(figure: Figure, dataset: str) -> None:
    """Begin the caption of a figure with its dataset. An empty name changes nothing."""
    if dataset:
        _write(figure, [f"Dataset: {dataset}.", caption_of(figure)])


def caption_of(figure: Figure) -> str:
    """The caption of a figure as one line, or nothing."""
    return " ".join(" ".join(text.get_text().split()) for text in _texts(figure))


def seeds_of(runs: pd.DataFrame) -> str:
    """How many seeds each contender has, in words.

    Args:
        runs: One row a run: condition, contender, seed.
    """
    return seed_count(runs.groupby(["condition", "contender"])["seed"].nunique())


def seed_count(counts: Iterable[int]) -> str:
    """Numbers of seeds in words.

    >>> seed_count([5, 5]), seed_count([1]), seed_count([5, 2])
    ('5 seeds', 'one seed', '2 to 5 seeds')
    """
    distinct = sorted(set(counts)) or [0]
    few, many = distinct[0], distinct[-1]
    if few < many:
        return f"{few} to {many} seeds"
    return "one seed" if many == 1 else f"{many} seeds"


def means_of(seeds: str, bands: str = "Bands") -> str:
    """What lines and bands are, for figures of means over seeds with their confidence intervals.

    Args:
        seeds: Of `seeds_of`.
        bands: What shows the intervals.

    >>> means_of("5 seeds", "Bars")
    'Means over 5 seeds. Bars: 95 % confidence intervals of the means.'
    """
    if seeds == "one seed":
        return "One seed."
    return f"Means over {seeds}. {bands}: 95 % confidence intervals of the means."


def _texts(figure: Figure) -> list[Text]:
    return [text for text in figure.texts if text.get_gid() == _ID]


def _write(figure: Figure, sentences: Iterable[str]) -> None:
    words = " ".join(filter(None, sentences))
    for text in _texts(figure):
        text.remove()
    width, height = figure.get_size_inches()
    per_line = int(72 * width / (0.53 * _SIZE))  # a letter is about half as wide as the size of its font
    figure.text(0.01, -0.08 / height, fill(words, per_line), va="top", fontsize=_SIZE, color="#444444", gid=_ID)

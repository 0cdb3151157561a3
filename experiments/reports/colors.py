"""One color, line style and marker for each algorithm, objective, method and PEFT module, the same in every figure.

How a name gets its look:

1. A known id has the look of `LOOKS`. Variants of an objective share its color and differ in the line.
2. A label that begins with a known id, such as `focal:gamma=2` or `ce, early stopping`, has the color of the id. Of a
   method and an objective, `lae + aepg`, it is the color of the objective.
3. Any other name has a color that follows from its letters, or the next one that no other name of the figure has.

Within a figure no two names have both the same color and the same line, up to `MOST` names: a label of rule 2 takes the
next free line of its color, and then the next free color.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from experiments.reports.display_names import id_of

Line: TypeAlias = str | tuple[int, tuple[int, ...]]
"""A line style of matplotlib."""

BLACK, VERMILION, BLUE, GREEN, PURPLE = "#222222", "#D55E00", "#0072B2", "#009E73", "#CC79A7"
SKY, ORANGE, INDIGO, WINE, OLIVE = "#56B4E9", "#E69F00", "#332288", "#882255", "#999933"
BROWN, GRAY, LIME = "#8C510A", "#6A6A6A", "#A6D854"
PALETTE = (GREEN, PURPLE, ORANGE, INDIGO, WINE, OLIVE, BROWN, SKY, LIME, GRAY, VERMILION, BLUE, BLACK)
"""All colors, from those of Okabe and Ito 2008 and of Tol 2021. The main objectives' are last, for unknown names."""
LINES: tuple[Line, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v")
"""The marker of each line style."""
MOST = len(PALETTE) * len(LINES)
BACKGROUND = "#d4d4d4"
"""Lines that are there for comparison alone."""


class Look(NamedTuple):
    """How a contender is drawn: `color` as #RRGGBB, and matplotlib's `line` style and `marker`."""

    color: str
    line: Line
    marker: str


_OBJECTIVES = {
    BLACK: ("ce",),
    VERMILION: ("epg", "nepg"),
    BLUE: ("aepg", "aepg-linear", "aepg-cosine", "aepg-geometric", "aepg-entropy"),
    SKY: ("naepg", "naepg-geometric", "naepg-entropy", "naepg-geom."),
    GREEN: ("focal",),
    ORANGE: ("ls",),
    PURPLE: ("cp",),
    INDIGO: ("ep",),
    WINE: ("gce",),
    OLIVE: ("sce",),
    BROWN: ("reinforce",),
    GRAY: ("alpha", "alpha-0.1", "alpha-0.2", "alpha-0.5", "alpha-0.7"),
}
_ALGORITHMS = {
    GRAY: ("reinforce-baseline",),
    GREEN: ("ppo", "trpo"),
    OLIVE: ("a2c",),
    PURPLE: ("dqn", "qr-dqn"),
    ORANGE: ("epsilon-greedy",),
    WINE: ("boltzmann",),
    INDIGO: ("linucb",),
    SKY: ("thompson",),
}
_METHODS = {
    BLACK: ("sequential",),
    VERMILION: ("lae",),
    BLUE: ("inflora", "joint"),
    SKY: ("sd-lora",),
    GREEN: ("ncm",),
    INDIGO: ("ranpac",),
    OLIVE: ("l2p",),
    PURPLE: ("dualprompt",),
    WINE: ("coda-prompt",),
    BROWN: ("replay",),
    ORANGE: ("der++",),
    LIME: ("linear-probe",),
    GRAY: ("frozen",),
}
_PEFT_MODULES = {
    VERMILION: ("lora", "adamss", "osf"),
    BLUE: ("adapter", "beft", "peanut"),
    GREEN: ("prefix", "boft", "psoft"),
    PURPLE: ("vpt", "c3a", "randlora"),
    SKY: ("ssf", "deft", "road"),
    BLACK: ("full", "delora", "shira"),
    GRAY: ("none", "dora", "supertuning"),
    ORANGE: ("fourierft", "hra", "tinylora"),
    INDIGO: ("frod", "ia3", "unilora"),
    WINE: ("glora", "ln-tuning", "vblora"),
    OLIVE: ("gralora", "loha", "vera"),
    BROWN: ("hira", "lokr", "waveft"),
    LIME: ("miss", "oft"),
}


def _declared() -> Iterator[tuple[str, Look]]:
    for table in (_OBJECTIVES, _ALGORITHMS, _METHODS, _PEFT_MODULES):
        for color, names in table.items():
            for name, line, marker in zip(names, LINES, MARKERS, strict=False):
                yield name, Look(color, line, marker)


LOOKS: dict[str, Look] = dict(_declared())
"""The looks of known ids. A module of your own may add some."""


def looks(names: Iterable[str]) -> dict[str, Look]:
    """The looks of the names of one figure, by the rules of this module.

    Args:
        names: Ids, specifications or labels; names that occur again are skipped.
    """
    distinct = list(dict.fromkeys(names))
    first = sorted(distinct, key=lambda name: (name not in LOOKS, id_of(name) not in LOOKS))  # known ids choose first
    found: dict[str, Look] = {}
    for name in first:
        taken = {(look.color, look.line) for look in found.values()}
        choices = list(_choices(name, {color for color, _ in taken}))
        found[name] = next((look for look in choices if (look.color, look.line) not in taken), choices[0])
    return {name: found[name] for name in distinct}


def color_of(contender: str) -> str:
    """The color of a contender as #RRGGBB, where no other name of a figure has taken it.

    >>> color_of("aepg"), color_of("lae + aepg"), color_of("focal:gamma=2") == color_of("focal")
    ('#0072B2', '#0072B2', True)
    """
    return looks([contender])[contender].color


def _choices(name: str, used: set[str]) -> Iterator[Look]:
    """The looks that a name may have, from the best to the worst: `used` colors come after all others."""
    known = LOOKS.get(name) or LOOKS.get(id_of(name))
    start = zlib.crc32(name.encode("utf-8", "surrogateescape")) % len(PALETTE)
    colors = sorted((*PALETTE[start:], *PALETTE[:start]), key=lambda color: color in used)
    if known is not None:
        yield known
        yield from (Look(known.color, line, marker) for line, marker in zip(LINES, MARKERS, strict=True))
    for line, marker in zip(LINES, MARKERS, strict=True):
        yield from (Look(color, line, marker) for color in colors)

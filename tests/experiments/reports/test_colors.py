"""Each name has one color and line in all figures, and those of a figure can be told apart."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.methods import METHODS
from agents.objectives import OBJECTIVES
from agents.peft_modules import PEFT_MODULES
from experiments.reports.colors import LOOKS, MARKERS, MOST, PALETTE, Look, color_of, looks
from experiments.rl.algorithms import ALGORITHMS

REGISTRIES = {"objectives": OBJECTIVES, "algorithms": ALGORITHMS, "methods": METHODS, "modules": PEFT_MODULES}
SEEN_BY = {
    "all": np.eye(3),
    "deuteranopes": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "protanopes": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
}
"""What becomes of linear red, green and blue; Machado, Oliveira and Fernandes 2009, severity 1."""


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_known_name_has_a_look_of_its_own(kind: str) -> None:
    names = list(REGISTRIES[kind])
    found = [LOOKS[name] for name in names]
    assert len({(look.color, look.line) for look in found}) == len({(look.color, look.marker) for look in found})
    assert len(set(found)) == len(names)
    assert looks(names) == dict(zip(names, found, strict=True))
    assert all(re.fullmatch("#[0-9A-F]{6}", look.color) for look in found)


@pytest.mark.parametrize("kind", ["algorithms", "methods"])
def test_algorithms_and_learning_methods_differ_by_color_alone(kind: str) -> None:
    names = [name for name in REGISTRIES[kind] if name != "joint"]
    assert len({color_of(name) for name in names}) == len(names)


def test_looks_stay_as_published() -> None:
    assert [color_of(name) for name in ("ce", "epg", "aepg")] == ["#222222", "#D55E00", "#0072B2"]
    assert [color_of(name) for name in ("my_loss", "my_other_loss")] == ["#A6D854", "#882255"]


def test_a_label_has_the_color_of_its_id() -> None:
    labels = ["focal:gamma=2", "ce, early stopping", "lae + aepg", "aepg b2 0.99", "replay:size=100,batch=8 + ce"]
    assert [color_of(label) for label in labels] == [color_of(name) for name in ("focal", "ce", "aepg", "aepg", "ce")]


def test_a_known_id_keeps_its_look_whatever_comes_before_it() -> None:
    found = looks(["ce, 10 epochs", "ce, early stopping", "mine", "ce", "epg"])
    assert found["ce"] == LOOKS["ce"] and found["epg"] == LOOKS["epg"]
    assert list(found) == ["ce, 10 epochs", "ce, early stopping", "mine", "ce", "epg"]
    assert {found[name].color for name in ("ce", "ce, 10 epochs", "ce, early stopping")} == {LOOKS["ce"].color}
    assert len({found[name].line for name in ("ce", "ce, 10 epochs", "ce, early stopping")}) == 3
    assert found["mine"].color not in {LOOKS["ce"].color, LOOKS["epg"].color}


@pytest.mark.parametrize(
    "names",
    [
        [f"reinforce:samples={count}" for count in range(1, 13)],
        [str(number) for number in range(MOST)],
        [*OBJECTIVES, *METHODS, *ALGORITHMS],
        [
            f"{method} + {objective}"
            for method in ("sequential", "lae", "inflora")
            for objective in ("ce", "epg", "aepg")
        ],
    ],
    ids=["specifications", "unknown", "known", "pairs"],
)
def test_no_two_of_a_figure_share_color_and_line(names: list[str]) -> None:
    found = looks(names)
    assert len({(look.color, look.line) for look in found.values()}) == len(set(names))


def test_more_names_than_looks_are_drawn_all_the_same() -> None:
    assert len(looks(map(str, range(MOST + 3)))) == MOST + 3


def test_each_line_has_a_marker() -> None:
    assert {look.marker for look in LOOKS.values()} <= set(MARKERS) and isinstance(LOOKS["ce"], Look)


@pytest.mark.parametrize(("eyes", "least"), [("all", 25), ("deuteranopes", 9), ("protanopes", 9)])
def test_colors_can_be_told_apart(eyes: str, least: float) -> None:
    seen = [_lab(color, SEEN_BY[eyes]) for color in PALETTE]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > least


def _lab(color: str, seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB, in which a distance of about 2 can just be noticed."""
    channels = np.array([int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.maximum(to_xyz @ np.clip(seen @ linear, 0, 1) / [0.9505, 1, 1.089], 0.0))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

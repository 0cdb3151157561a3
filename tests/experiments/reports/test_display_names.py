from __future__ import annotations

import pytest

from agents.methods import METHODS
from agents.objectives import OBJECTIVES
from agents.peft_modules import PEFT_MODULES
from experiments.reports.display_names import DISPLAY_NAMES, display_name, short_name
from experiments.rl.algorithms import ALGORITHMS

NOT_REGISTERED_HERE = {"qr-dqn", "trpo", "naepg-geom."}


@pytest.mark.parametrize(
    ("label", "whole", "short"),
    [
        ("aepg", "aEPG", "aEPG"),
        ("alpha:alpha=0.5", "Mixture (alpha=0.5)", "Mixture 0.5"),
        ("reinforce:samples=16,baseline=running-mean", "REINFORCE (samples=16, baseline=running-mean)", None),
        ("replay:size=100,batch=8 + ce", "replay (size=100, batch=8) + CE", "replay 100, 8 + CE"),
        ("ce, early stopping", "CE, early stopping", None),
        ("aepg b2 0.99", "aEPG b2 0.99", None),
        ("frozen random", "frozen random", "frozen random"),
        ("20% label noise", "20% label noise", None),
        ("mine:weight=2", "mine (weight=2)", "mine 2"),
        ("a|b\nc", "a|b\nc", "a|b\nc"),
        ("", "", ""),
    ],
)
def test_labels(label: str, whole: str, short: str | None) -> None:
    assert display_name(label) == whole
    assert short is None or short_name(label) == short


def test_names_are_of_registered_ids_and_different() -> None:
    assert set(DISPLAY_NAMES) <= {*OBJECTIVES, *METHODS, *PEFT_MODULES, *ALGORITHMS} | NOT_REGISTERED_HERE
    assert len(set(DISPLAY_NAMES.values())) == len(DISPLAY_NAMES)

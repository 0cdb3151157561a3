"""Figure 6 of the paper: how much each regulariser depends on its strength."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from cls_env.specification import parse_specification
from experiments.config.entry import Entry
from experiments.studies.figures import differences
from experiments.studies.line_figures import plot_data, plot_lines
from experiments.studies.study import Study, StudyConfig, by_noise, by_objective, grid

PARAMETERS = {
    "focal": "gamma",
    "ls": "gamma",
    "cp": "beta",
    "ep": "beta",
    "aepg": "tau",
    "gce": "q",
}
"""The parameter of each regulariser that is its strength."""


@dataclass(frozen=True, kw_only=True)
class StrengthConfig(StudyConfig):
    """Strengths of the regularisers x seeds, with CE as the baseline."""

    focal: tuple[float, ...] = (0.5, 1.0, 2.0)
    """gamma of focal loss."""
    ls: tuple[float, ...] = (0.01, 0.05, 0.1)
    """gamma of label smoothing."""
    cp: tuple[float, ...] = (0.1, 0.2)
    """beta of the confidence penalty."""
    ep: tuple[float, ...] = (0.5, 1.0, 2.0)
    """beta of the entropy penalty."""
    aepg: tuple[float, ...] = (3.0, 6.0, 12.0)
    """tau of aEPG, the steepness of its schedule."""
    gce: tuple[float, ...] = (0.3, 0.5, 0.7)
    """q of generalized cross-entropy: 0 is CE, 1 is EPG."""
    label_noise: tuple[float, ...] = (0.0,)
    """Shares of flipped training labels."""


def entries(config: StrengthConfig) -> list[Entry]:
    """CE, and every regulariser at each of its strengths."""
    specifications = [
        f"{name}:{parameter}={strength:g}"
        for name, parameter in PARAMETERS.items()
        for strength in getattr(config, name)
    ]
    return grid(config, by_noise(config, config.label_noise), by_objective(("ce", *specifications)))


def figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """A_T against strength, with CE as a horizontal line: a panel for each regulariser, a line for each label noise."""
    parsed = [parse_specification(objective) for objective in runs["objective"]]
    panel = pd.Series([f"{name}, {PARAMETERS[name]}" if name in PARAMETERS else "" for name, _ in parsed], runs.index)
    strength = pd.Series([next(iter(given.values()), None) for _, given in parsed], runs.index, dtype=float)
    drawn = plot_data(runs, strength, panel)
    drawn["contender"] = runs["condition"]
    strengths, ce = drawn[drawn["panel"] != ""], drawn[drawn["panel"] == ""]
    ce = ce.assign(contender="ce, " + ce["contender"])
    reference_lines = ce.drop(columns="panel").merge(strengths[["panel"]].drop_duplicates(), how="cross")
    return {
        "accuracy_against_strength": plot_lines(strengths, ("strength", "A_T, %"), reference_lines=reference_lines),
        "differences": differences(runs, "ce"),
    }


STRENGTH = Study(
    name="strength",
    title="Strength of each regulariser (the paper's Figure 6)",
    question="Does a regulariser that loses to CE at its usual strength win at another?",
    published="as a figure, at one strength or a few of each; which of them CE beats is in Table 2",
    config=StrengthConfig(),
    entries=entries,
    figures=figures,
)

"""Figure 3 of the paper: fixed mixtures of CE and EPG, and those that change over a task."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from cls_env.specification import parse_specification
from experiments.config.entry import Entry
from experiments.studies.figures import differences
from experiments.studies.line_figures import plot_data, plot_lines
from experiments.studies.study import Study, StudyConfig, by_noise, by_objective, grid

ENDS = {"ce": 1.0, "epg": 0.0}
"""Fixed mixtures with an objective of their own."""


@dataclass(frozen=True, kw_only=True)
class AnnealingConfig(StudyConfig):
    """Fixed alphas and schedules x label noise x seeds. CE and EPG, alpha 1 and 0, are always included."""

    alphas: tuple[float, ...] = (0.7, 0.5, 0.2, 0.1)
    """Fixed weights of CE."""
    schedules: tuple[str, ...] = ("aepg", "aepg-linear", "aepg-cosine")
    """Objectives whose weight changes over a task."""
    label_noise: tuple[float, ...] = (0.0, 0.2)
    """Shares of flipped training labels."""


def entries(config: AnnealingConfig) -> list[Entry]:
    """Every mixture under every label noise."""
    fixed = [f"alpha:alpha={alpha:g}" for alpha in config.alphas]
    contenders = by_objective(("ce", *fixed, "epg", *config.schedules))
    return grid(config, by_noise(config, config.label_noise), contenders)


def fixed_alpha(objective: str) -> float | None:
    """The weight of CE in a fixed mixture, or None if it changes over a task.

    >>> fixed_alpha("ce"), fixed_alpha("alpha:alpha=0.2"), fixed_alpha("aepg")
    (1.0, 0.2, None)
    """
    _, parameters = parse_specification(objective)
    return ENDS.get(objective, parameters.get("alpha"))


def figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """A_T against alpha, with the schedules as horizontal lines, and the paired differences to CE."""
    alphas = runs["objective"].map(fixed_alpha).astype(float)
    drawn = plot_data(runs, alphas, runs["condition"])
    fixed = drawn[drawn["x"].notna()].assign(contender="alpha, fixed")
    schedules = drawn[drawn["x"].isna()]
    return {
        "accuracy_against_alpha": plot_lines(fixed, ("alpha, the weight of CE", "A_T, %"), reference_lines=schedules),
        "differences": differences(runs, "ce"),
    }


ANNEALING = Study(
    name="annealing",
    title="Fixed mixtures of CE and EPG, and annealed ones (the paper's Figure 3)",
    question="Is changing the weight of CE over a task better than any fixed weight, and does the schedule matter?",
    published="all fixed weights are below the annealed ones; sigmoid, linear and cosine schedules are comparable",
    config=AnnealingConfig(),
    entries=entries,
    figures=figures,
)

"""Do random crops act as label noise? A small crop may miss the object, and its label is then wrong.

Contenders are compared by their lead over CE in A_T, paired by seed. First each has its own rate, then all share that
of CE and multiples of it. Two predictions are tested:

1. Leads are larger with the smallest crops than with the largest view, at own rates (`smaller_crops`).
2. Leads are larger at the largest shared rate than at the smallest (`larger_rates`).

A prediction holds for an objective if the change is positive and its p, corrected by Holm over the rows of its table,
is below 0.05. With the central view alone for comparison, crops differ from it in scale, shape and flips at once; the
views `flips` and 0.3 tell these apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from experiments.config.entry import Entry
from experiments.reports.captions import PAIRED
from experiments.studies.figures import differences, minus_baseline
from experiments.studies.gains import EXPLANATION, Change, changes_table
from experiments.studies.line_figures import plot_data, plot_lines
from experiments.studies.study import Grid, Study, by_noise, by_objective, grid, unique_names
from experiments.studies.tuning import (
    TuningConfig,
    chosen_rates,
    contenders,
    rates_of,
    tuned_entries,
    tuning_entries,
    tuning_study,
)

WHOLE = {"central": "central view", "flips": "flips"}
"""Views of the whole image, and their names in tables."""
_MULTIPLE = " x rate of ce"


@dataclass(frozen=True, kw_only=True)
class CropsConfig(TuningConfig):
    """Objectives x views x label noise x rates on tuning seeds, then at their own rates and at shared ones."""

    dataset: str = "photos"
    epochs: int = 10
    rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3, 8e-3)
    views: tuple[str, ...] = ("central", "0.05")
    """Views of training images: central, flips (the whole image, mirrored at random), or the smallest fraction of the
    image's area in a random crop.
    """
    multiples: tuple[float, ...] = (1.0, 2.0, 4.0)
    """Shared rates, as multiples of the rate chosen for ce."""

    @property
    def by_size(self) -> list[str]:
        """The views, from the largest to the smallest.

        Raises:
            ValueError: A view is neither a known word nor a fraction in (0, 1).
        """
        fractions = {view: view_settings(view).get("crop_scale", (2.0,))[0] for view in self.views}
        return sorted(self.views, key=lambda view: -fractions[view])


def view_settings(view: str) -> dict[str, Any]:
    """The settings of a view.

    Raises:
        ValueError: It is neither a known word nor a fraction in (0, 1).

    >>> view_settings("flips"), view_settings("0.3")
    ({'augment': 'yes', 'crop_scale': (1.0, 1.0)}, {'augment': 'yes', 'crop_scale': (0.3, 1.0)})
    """
    if view == "central":
        return {"augment": "no"}
    if view == "flips":
        return {"augment": "yes", "crop_scale": (1.0, 1.0)}
    try:
        smallest = float(view)
    except ValueError:
        smallest = float("nan")
    if not 0 < smallest < 1:
        raise ValueError(f"--views {view}: a view is central, flips, or the area of the smallest crop in (0, 1)")
    return {"augment": "yes", "crop_scale": (smallest, 1.0)}


def view_name(view: str) -> str:
    """A view in a table.

    >>> view_name("central"), view_name("0.05")
    ('central view', 'crops from 5%')
    """
    return WHOLE[view] if view in WHOLE else f"crops from {100 * float(view):g}%"


def conditions(config: CropsConfig) -> Grid:
    """Views x label noise."""
    return unique_names(
        (f"{view_name(view)}, {noise}", {**view_settings(view), **setting})
        for view in config.by_size
        for noise, setting in by_noise(config, config.label_noise).items()
    )


def entries(config: CropsConfig) -> list[Entry]:
    """Every contender at every rate under every condition."""
    if not config.multiples:
        raise ValueError("--multiples names no shared rate")
    for entry in shared_entries(config, dict.fromkeys(conditions(config), config.rates[0] if config.rates else 1.0)):
        entry.checked  # noqa: B018  # raises if a multiple is impossible, before the tuning
    return tuning_entries(config, conditions(config), contenders(config))


def smaller_crops(config: CropsConfig) -> list[Change]:
    """Prediction 1: the smallest crops against the largest view, under each label noise."""
    views = [view_name(view) for view in config.by_size]
    largest, smallest = views[0], views[-1]
    noises = by_noise(config, config.label_noise)
    return [(f"{smallest}, {noise}", f"{largest}, {noise}") for noise in noises if smallest != largest]


def larger_rates(config: CropsConfig) -> list[Change]:
    """Prediction 2: the largest shared rate against the smallest, under each condition."""
    low, high = min(config.multiples), max(config.multiples)
    return [
        (f"{condition}, {high:g}{_MULTIPLE}", f"{condition}, {low:g}{_MULTIPLE}")
        for condition in conditions(config)
        if low < high
    ]


def at_own_rates(config: CropsConfig, runs: pd.DataFrame) -> Study[CropsConfig]:
    """Each contender at the rate that was chosen for it, on fresh seeds."""
    chosen = chosen_rates(runs)
    return Study(
        name="at-own-rates",
        title="Crops and label noise: each objective at its own learning rate",
        question=QUESTION,
        published=PUBLISHED,
        config=config,
        entries=lambda each: tuned_entries(each, conditions(each), contenders(each), chosen),
        figures=lambda finished: {"differences": differences(finished, "ce")},
        tables=lambda finished: changes_table("smaller_crops", finished, smaller_crops(config), config.objectives),
        explanations={"smaller_crops": EXPLANATION},
        follow_up=partial(_at_shared_rates, rates=rates_of(chosen, "ce")),
    )


def _at_shared_rates(config: CropsConfig, runs: pd.DataFrame, rates: Mapping[str, float]) -> Study[CropsConfig]:
    """All contenders at the rate of CE and at multiples of it, on the same seeds."""
    return Study(
        name="at-shared-rates",
        title="Crops and label noise: one learning rate for all objectives",
        question="Does annealing help where the shared rate is too large for CE?",
        published=PUBLISHED,
        config=config,
        entries=partial(shared_entries, rates=rates),
        figures=shared_figures,
        tables=lambda finished: changes_table("larger_rates", finished, larger_rates(config), config.objectives),
        explanations={"larger_rates": EXPLANATION},
    )


def shared_entries(config: CropsConfig, rates: Mapping[str, float]) -> list[Entry]:
    """Every objective at each multiple of the rate of CE. Contenders with early stopping are left out.

    Args:
        config: The settings.
        rates: The rate of CE under each condition.
    """
    shared = unique_names(
        (f"{condition}, {multiple:g}{_MULTIPLE}", {**setting, "learning_rate": multiple * rates[condition]})
        for condition, setting in conditions(config).items()
        for multiple in config.multiples
    )
    return grid(config, shared, by_objective(config.objectives))


def shared_figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """Leads over CE, and A_T, against the multiple of its rate."""
    named = runs["condition"].str.removesuffix(_MULTIPLE).str.rpartition(", ")
    multiple, panel = named[2].astype(float), named[0]
    lead = plot_data(minus_baseline(runs, "ce"), multiple, panel)
    axis = "learning rate / that of CE"
    return {
        "lead_against_rate": plot_lines(lead, (axis, "A_T less that of CE, points"), logarithmic=True, note=PAIRED),
        "accuracy_against_rate": plot_lines(plot_data(runs, multiple, panel), (axis, "A_T, %"), logarithmic=True),
    }


QUESTION = "Does annealing help more with small crops, as with wrong labels?"
PUBLISHED = "all runs have crops of 5 to 100 % and share the rate 5e-4; aEPG is above CE, and the reason is not tested"

CROPS = tuning_study(
    name="crops",
    title="Crops and label noise: tuning of the learning rate",
    question=QUESTION,
    published=PUBLISHED,
    config=CropsConfig(),
    entries=entries,
    follow_up=at_own_rates,
)

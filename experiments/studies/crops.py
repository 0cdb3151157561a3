"""Random crops as label noise: a small crop often misses the object, and its label is then wrong.

What is compared was written here before the fresh seeds were run: leads over CE in A_T, paired by seed, with each
contender at its own rate, then with all at CE's rate and multiples of it; and the changes of these leads that
`smaller_crops` and `larger_rates` list.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from experiments.config.entry import Entry
from experiments.runs.measures import columns
from experiments.studies.figures import differences, minus_baseline, plot_data, plot_lines
from experiments.studies.gains import Change, changes_of_gains
from experiments.studies.study import Grid, Study, by_noise, by_objective, grid
from experiments.studies.tuning import (
    CLEAN,
    NOISY,
    TuningConfig,
    chosen_rates,
    rates_table,
    tuned_entries,
    tuning_entries,
    tuning_figures,
    with_early_stopping,
)

WHOLE = {"central": False, "flips": True}
"""Views of the whole image, and whether they are mirrored at random."""
_MULTIPLE = " x rate of ce"


@dataclass(frozen=True, kw_only=True)
class CropsConfig(TuningConfig):
    """Objectives x views x label noise x rates on tuning seeds, then at their own rates and at shared ones."""

    dataset: str = "photos"
    epochs: int = 10
    rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3, 8e-3)
    objectives: tuple[str, ...] = ("ce", "epg", "aepg")
    """Contenders; ce is the baseline."""
    stopped: tuple[str, ...] = ()
    """Objectives that also run with early stopping. They train on fewer images, because they hold some out."""
    views: tuple[str, ...] = ("central", "0.05")
    """Views of training images, from the largest to the smallest: central, flips (the whole image, mirrored at
    random), or the smallest fraction of the image's area in a random crop.
    """
    multiples: tuple[float, ...] = (1.0, 2.0, 4.0)
    """Shared rates, as multiples of the rate chosen for ce."""


def view_settings(view: str) -> dict[str, Any]:
    """The settings of a view.

    Raises:
        ValueError: It is neither a known word nor a fraction in (0, 1).

    >>> view_settings("flips"), view_settings("0.3")
    ({'augment': 'yes', 'crop_scale': (1.0, 1.0)}, {'augment': 'yes', 'crop_scale': (0.3, 1.0)})
    """
    if view in WHOLE:
        return {"augment": "yes", "crop_scale": (1.0, 1.0)} if WHOLE[view] else {"augment": "no"}
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
    return f"crops from {100 * float(view):g}%" if view not in WHOLE else {"central": "central view"}.get(view, view)


def conditions(config: CropsConfig) -> Grid:
    """Views x label noise."""
    return {
        f"{view_name(view)}, {noise}": {**view_settings(view), **setting}
        for view in config.views
        for noise, setting in by_noise(config, config.label_noise).items()
    }


def contenders(config: CropsConfig) -> Grid:
    """The objectives, and those of them that also stop early."""
    return {**by_objective(config.objectives), **with_early_stopping(config, config.stopped)}


def entries(config: CropsConfig) -> list[Entry]:
    """Every contender at every rate under every condition."""
    return tuning_entries(config, conditions(config), contenders(config))


def smaller_crops(config: CropsConfig) -> list[Change]:
    """Prediction 1: leads grow from each view to the next smaller one."""
    noises = by_noise(config, config.label_noise)
    return [
        (f"{view_name(small)}, {noise}", f"{view_name(large)}, {noise}")
        for large, small in pairwise(config.views)
        for noise in noises
    ]


def larger_rates(config: CropsConfig) -> list[Change]:
    """Prediction 2: leads at shared rates grow with the rate."""
    return [
        (f"{condition}, {high:g}{_MULTIPLE}", f"{condition}, {low:g}{_MULTIPLE}")
        for condition in conditions(config)
        for low, high in pairwise(config.multiples)
    ]


def at_own_rates(config: CropsConfig, runs: pd.DataFrame) -> Study[CropsConfig]:
    """Each contender at the rate that was chosen for it, on fresh seeds."""
    chosen = chosen_rates(runs)
    return Study(
        name="at-own-rates",
        title="Crops as label noise: each objective at its own learning rate",
        question=QUESTION,
        published=PUBLISHED,
        config=config,
        entries=lambda each: tuned_entries(each, conditions(each), contenders(each), chosen),
        figures=lambda finished: {"differences": differences(finished, "ce")},
        tables=lambda finished: {"smaller_crops": changes_of_gains(finished, smaller_crops(config))},
        follow_up=partial(_at_shared_rates, chosen=chosen),
    )


def _at_shared_rates(config: CropsConfig, runs: pd.DataFrame, chosen: pd.DataFrame) -> Study[CropsConfig]:
    """All contenders at the rate of CE and at multiples of it, on the same seeds."""
    return Study(
        name="at-shared-rates",
        title="Crops as label noise: one learning rate for all objectives",
        question="Does annealing help where the shared rate is too large for CE?",
        published=PUBLISHED,
        config=config,
        entries=partial(shared_entries, chosen=chosen),
        figures=shared_figures,
        tables=lambda finished: {"larger_rates": changes_of_gains(finished, larger_rates(config))},
    )


def shared_entries(config: CropsConfig, chosen: pd.DataFrame) -> list[Entry]:
    """Every contender at each multiple of the rate of CE. Those with early stopping are left out."""
    rates = chosen[chosen["contender"] == "ce"].set_index("condition")["learning_rate"]
    shared = {
        f"{condition}, {multiple:g}{_MULTIPLE}": {**setting, "learning_rate": multiple * float(rates[condition])}
        for condition, setting in conditions(config).items()
        for multiple in config.multiples
    }
    return grid(config, shared, by_objective(config.objectives))


def shared_figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """Leads over CE, and A_T, against the multiple of its rate."""
    named = runs["condition"].str.removesuffix(_MULTIPLE).str.rpartition(", ")
    multiple, panel = named[2].astype(float), named[0]
    lead = plot_data(minus_baseline(runs, "ce"), multiple, panel)
    axis = "learning rate / that of CE"
    return {
        "lead_against_rate": plot_lines(lead, (axis, "A_T less that of CE, points"), logarithmic=True),
        "accuracy_against_rate": plot_lines(plot_data(runs, multiple, panel), (axis, "A_T, %"), logarithmic=True),
    }


QUESTION = "Does annealing help because small crops miss the object, so that labels are wrong?"
PUBLISHED = "all runs have crops of 5 to 100 % and share the rate 5e-4; aEPG is above CE, and the reason is not tested"

CROPS = Study(
    name="crops",
    title="Crops as label noise: tuning of the learning rate",
    question=QUESTION,
    published=PUBLISHED,
    config=CropsConfig(),
    entries=entries,
    figures=tuning_figures,
    measures=columns(NOISY, CLEAN, "final_accuracy"),
    tables=lambda runs: {"chosen_rates": rates_table(runs)},
    follow_up=at_own_rates,
)

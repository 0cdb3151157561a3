"""Tuning with an equal budget: every contender at every learning rate, then each at the rate that was best for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pandas as pd
from matplotlib.figure import Figure

from experiments.comparisons.compare import check_comparison
from experiments.config.entry import Entry
from experiments.reports.numbers import rounded
from experiments.runs.measures import columns
from experiments.studies.line_figures import plot_data, plot_lines
from experiments.studies.study import Grid, Study, StudyConfig, by_objective, grid

NOISY, CLEAN = "validation_accuracy", "validation_accuracy_clean"
TITLES = (("chosen rate", "validation %"), ("true labels would choose", "with true labels %"))
EXPLANATION = (
    "Chosen rate: the learning rate with the highest mean validation accuracy over the tuning seeds. "
    "Validation: accuracy on held-out training images, whose labels are as noisy as the others. "
    "With true labels: the same, by their true labels."
)
"""What the columns of the table of chosen rates mean."""
_RATE = ", rate "


@dataclass(frozen=True, kw_only=True)
class TuningConfig(StudyConfig):
    """The contenders, the rates to choose from, and the images by which they are chosen.

    Held-out labels are as noisy as training labels, as a user's are. The tables also have the choice by true labels.
    """

    objectives: tuple[str, ...] = ("ce", "epg", "aepg")
    """Contenders; ce is the baseline."""
    stopped: tuple[str, ...] = ()
    """Objectives that also run with early stopping. They train on fewer images, because they hold some out."""
    rates: tuple[float, ...] = (1.25e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3)
    """Learning rates to choose from, in place of --learning-rate."""
    tuning_seeds: tuple[int, ...] = (100, 101)
    """Seeds on which rates are chosen; the comparison's should be others."""
    tuning_fraction: float = 0.2
    """Share of each class's training images held out to choose by; without early stopping, the comparison trains on
    all of them.
    """
    label_noise: tuple[float, ...] = (0.0, 0.2)
    """Shares of flipped training labels; rates are chosen for each on its own."""


Tuning = TypeVar("Tuning", bound=TuningConfig)


def contenders(config: TuningConfig) -> Grid:
    """The objectives, and those that also run with early stopping."""
    stopped: dict[str, Any] = {"early_stopping": True, "validation_fraction": config.tuning_fraction}
    return {
        **by_objective(config.objectives),
        **{f"{objective}, early stopping": {"objective": objective, **stopped} for objective in config.stopped},
    }


def tuning_entries(config: TuningConfig, conditions: Grid, compared: Grid) -> list[Entry]:
    """Every contender at every rate. In the table, each rate under each condition is a condition.

    Raises:
        ValueError: Nothing is held out, a seed is to tune and to compare, early stopping or held-out images are set
            for all runs, or the comparison to follow would be empty.
    """
    if config.validation_fraction:
        raise ValueError("--validation-fraction: this study sets it for each run; give --tuning-fraction")
    if config.early_stopping:
        raise ValueError("--early-stopping: this study sets it for each run; name objectives in --stopped")
    if not 0 < config.tuning_fraction < 1:
        raise ValueError(f"tuning_fraction is a share of the training images in (0, 1), not {config.tuning_fraction}")
    if shared := set(config.seeds) & set(config.tuning_seeds):
        raise ValueError(f"seed {min(shared)} is to tune and to compare; give other --tuning-seeds")
    check_comparison(grid(config, conditions, compared), "ce")
    at_rates = {
        f"{condition}{_RATE}{rate:g}": {
            **setting,
            "learning_rate": rate,
            "validation_fraction": config.tuning_fraction,
        }
        for condition, setting in conditions.items()
        for rate in config.rates
    }
    return grid(config, at_rates, compared, config.tuning_seeds)


def condition_without_rate(runs: pd.DataFrame) -> pd.Series[str]:
    """The condition of each run of a tuning, without its rate."""
    return runs["condition"].str.rpartition(_RATE)[0]


def chosen_rates(runs: pd.DataFrame, measure: str = NOISY) -> pd.DataFrame:
    """The rate of the best mean validation accuracy, a row for each condition and contender.

    Args:
        runs: The tuning's: condition with its rate, contender, learning_rate and the measure.
        measure: The accuracy to choose by: on held-out labels as they are, or on their true ones.

    Returns:
        condition, contender, learning_rate (of equally good ones the smallest), and the measure's mean.
    """
    case = ["condition", "contender"]
    runs = runs.assign(condition=condition_without_rate(runs))
    mean = runs.groupby([*case, "learning_rate"], as_index=False, sort=True)[measure].mean()
    return mean.loc[mean.groupby(case, sort=False)[measure].idxmax()].reset_index(drop=True)


def rates_of(chosen: pd.DataFrame, contender: str) -> dict[str, float]:
    """The rate of one contender under each condition, of `chosen_rates`."""
    rows = chosen[chosen["contender"] == contender]
    return dict(zip(rows["condition"], rows["learning_rate"].astype(float), strict=True))


def rates_table(runs: pd.DataFrame) -> pd.DataFrame:
    """The chosen rates as text. A rate at an end of the grid is marked, since a better one may lie beyond."""
    ends = {runs["learning_rate"].min(): " (smallest tried)", runs["learning_rate"].max(): " (largest tried)"}
    noisy = runs["label_noise"].any() or runs["noise_matrix"].notna().any()
    readings = [NOISY, *([CLEAN] if noisy else [])]
    best = {reading: chosen_rates(runs, reading).set_index(["condition", "contender"]) for reading in readings}
    cases = pd.DataFrame({"condition": condition_without_rate(runs), "contender": runs["contender"]})
    rows = []
    for condition, contender in cases.drop_duplicates().itertuples(index=False):
        row = {"condition": condition, "objective": contender}
        for reading, (rate_title, accuracy_title) in zip(readings, TITLES, strict=False):
            chosen = best[reading].loc[(condition, contender)]
            rate = chosen["learning_rate"]
            row |= {
                rate_title: f"{rate:g}{ends.get(rate, '')}",
                accuracy_title: rounded(100 * chosen[reading]),
            }
        rows.append(row)
    return pd.DataFrame(rows)


def tuning_figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """Validation accuracy against the rate, the chosen one starred."""
    drawn = plot_data(runs, runs["learning_rate"], condition_without_rate(runs), NOISY)
    labels = ("learning rate", "validation accuracy, %")
    return {"accuracy_against_rate": plot_lines(drawn, labels, logarithmic=True, starred=True)}


def tuned_entries(config: TuningConfig, conditions: Grid, compared: Grid, chosen: pd.DataFrame) -> list[Entry]:
    """Every contender at its chosen rate, on the comparison's seeds.

    Contenders without early stopping train on all training images.
    """
    rates = chosen.set_index(["condition", "contender"])["learning_rate"]
    return [
        replace(entry, config=replace(entry.config, learning_rate=float(rates[entry.condition, entry.contender])))
        for entry in grid(config, conditions, compared)
    ]


def tuning_study(
    *,
    name: str,
    title: str,
    question: str,
    published: str,
    config: Tuning,
    entries: Callable[[Tuning], list[Entry]],
    follow_up: Callable[[Tuning, pd.DataFrame], Study[Tuning]],
) -> Study[Tuning]:
    """The study that chooses the rates, with its table and figure. For the arguments see `Study`."""
    return Study(
        name=name,
        title=title,
        question=question,
        published=published,
        config=config,
        entries=entries,
        figures=tuning_figures,
        measures=columns(NOISY, CLEAN, "final_accuracy"),
        tables=lambda runs: {"chosen_rates": rates_table(runs)},
        explanations={"chosen_rates": EXPLANATION},
        follow_up=follow_up,
    )

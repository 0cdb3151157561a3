"""A comparison with an equal tuning budget: each objective at its own best learning rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from experiments.comparisons.compare import check_comparison
from experiments.config.entry import Entry
from experiments.runs.measures import columns
from experiments.studies.figures import differences, plot_data, plot_lines
from experiments.studies.study import OBJECTIVES, Study, StudyConfig, by_noise, by_objective, grid

NOISY, CLEAN = "validation_accuracy", "validation_accuracy_clean"
TITLES = (("chosen rate", "validation %"), ("true labels would choose", "with true labels %"))


@dataclass(frozen=True, kw_only=True)
class RatesConfig(StudyConfig):
    """Objectives x rates x tuning seeds x label noise, and then objectives x seeds x label noise at the chosen rates.

    Held-out labels are as noisy as training labels, as a user's are. The tables also have the choice by true labels.
    """

    objectives: tuple[str, ...] = OBJECTIVES
    """Contenders; ce is the baseline."""
    stopped: tuple[str, ...] = ("ce",)
    """Objectives that also run with early stopping. They train on fewer images, because they hold some out."""
    fewer_epochs: tuple[int, ...] = (10,)
    """CE also runs with these numbers of epochs: training stops early, in all tasks at the same point."""
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


def contenders(config: RatesConfig) -> dict[str, Mapping[str, Any]]:
    """The objectives, those of them that also stop early, and ce with fewer epochs."""
    if config.early_stopping:
        raise ValueError("--early-stopping: this study sets it for each run; name objectives in --stopped")
    if config.epochs in config.fewer_epochs:
        raise ValueError(
            f"--fewer-epochs {config.epochs} are the epochs of all contenders already: give fewer, or none"
        )
    stopped = {"early_stopping": True, "validation_fraction": config.tuning_fraction}
    return {
        **by_objective(config.objectives),
        **{f"{objective}, early stopping": {"objective": objective, **stopped} for objective in config.stopped},
        **{f"ce, {epochs} epochs": {"objective": "ce", "epochs": epochs} for epochs in config.fewer_epochs},
    }


def tuning_entries(config: RatesConfig) -> list[Entry]:
    """Every objective at every rate. In the table, each rate under each label noise is a condition.

    Raises:
        ValueError: Nothing is held out, a seed is to tune and to compare, or the comparison to follow would be empty.
    """
    if not 0 < config.tuning_fraction < 1:
        raise ValueError(f"tuning_fraction is a share of the training images in (0, 1), not {config.tuning_fraction}")
    if shared := set(config.seeds) & set(config.tuning_seeds):
        raise ValueError(f"seed {min(shared)} is to tune and to compare; give other --tuning-seeds")
    check_comparison(grid(config, by_noise(config, config.label_noise), contenders(config)), "ce", None)
    conditions = {
        f"{noise}, rate {rate:g}": {**setting, "learning_rate": rate, "validation_fraction": config.tuning_fraction}
        for noise, setting in by_noise(config, config.label_noise).items()
        for rate in config.rates
    }
    return grid(config, conditions, contenders(config), config.tuning_seeds)


def chosen_rates(runs: pd.DataFrame, measure: str = NOISY) -> pd.DataFrame:
    """The rate of the best mean validation accuracy, a row for each label noise and contender.

    Args:
        runs: The tuning's: label_noise, contender, learning_rate and the measure.
        measure: The accuracy to choose by: on held-out labels as they are, or on their true ones.

    Returns:
        label_noise, contender, learning_rate (of equally good ones the smallest), and the measure's mean.
    """
    case = ["label_noise", "contender"]
    mean = runs.groupby([*case, "learning_rate"], as_index=False, sort=True)[measure].mean()
    return mean.loc[mean.groupby(case, sort=False)[measure].idxmax()].reset_index(drop=True)


def rates_table(runs: pd.DataFrame) -> pd.DataFrame:
    """The chosen rates as text. A rate at an end of the grid is marked, since a better one may lie beyond."""
    ends = {runs["learning_rate"].min(): " (smallest tried)", runs["learning_rate"].max(): " (largest tried)"}
    readings = [NOISY, *([CLEAN] if runs["label_noise"].any() else [])]
    best = {reading: chosen_rates(runs, reading).set_index(["label_noise", "contender"]) for reading in readings}
    rows = []
    for noise, contender in runs[["label_noise", "contender"]].drop_duplicates().itertuples(index=False):
        row = {"label noise": f"{100 * noise:g}%", "objective": contender}
        for reading, (rate_title, accuracy_title) in zip(readings, TITLES, strict=False):
            chosen = best[reading].loc[(noise, contender)]
            rate = chosen["learning_rate"]
            row |= {
                rate_title: f"{rate:g}{ends.get(rate, '')}",
                accuracy_title: f"{100 * chosen[reading]:.1f}",
            }
        rows.append(row)
    return pd.DataFrame(rows)


def tuning_figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """Validation accuracy against the rate, the chosen one starred."""
    noise = runs["condition"].str.rpartition(", rate ")[0]
    drawn = plot_data(runs, runs["learning_rate"], noise, "validation_accuracy")
    labels = ("learning rate", "validation accuracy, %")
    return {"accuracy_against_rate": plot_lines(drawn, labels, logarithmic=True, starred=True)}


def tuned_entries(config: RatesConfig, chosen: pd.DataFrame) -> list[Entry]:
    """Every contender at its chosen rate, on the comparison's seeds.

    Contenders without early stopping train on all training images.
    """
    rates = chosen.set_index(["label_noise", "contender"])["learning_rate"]
    return [
        replace(
            entry,
            config=replace(entry.config, learning_rate=float(rates[entry.config.label_noise, entry.contender])),
        )
        for entry in grid(config, by_noise(config, config.label_noise), contenders(config))
    ]


def at_chosen_rates(config: RatesConfig, runs: pd.DataFrame) -> Study[RatesConfig]:
    """The comparison at the chosen rates."""
    return Study(
        name="at-chosen-rates",
        title="Objectives, each at its own learning rate",
        question=QUESTION,
        published=PUBLISHED,
        config=config,
        entries=partial(tuned_entries, chosen=chosen_rates(runs)),
        figures=lambda finished: {"differences": differences(finished, "ce")},
    )


QUESTION = "Is an objective better, or does it only suit the one learning rate at which all are usually compared?"
PUBLISHED = "all objectives share the rate 5e-4; others were not studied"

LEARNING_RATE = Study(
    name="learning-rate",
    title="Tuning of the learning rate, with an equal budget for each objective",
    question=QUESTION,
    published=PUBLISHED,
    config=RatesConfig(),
    entries=tuning_entries,
    figures=tuning_figures,
    measures=columns(NOISY, CLEAN, "final_accuracy"),
    tables=lambda runs: {"chosen_rates": rates_table(runs)},
    follow_up=at_chosen_rates,
)

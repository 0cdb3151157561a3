"""A comparison with an equal budget of tuning: each objective at the learning rate that suits it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from experiments.comparison import Entry
from experiments.outcome import check_comparison
from experiments.studies.figures import against, differences, points
from experiments.studies.study import OBJECTIVES, Study, StudyConfig, by_noise, by_objective, crossed


@dataclass(frozen=True, kw_only=True)
class RatesConfig(StudyConfig):
    """Objectives x rates x tuning seeds x label noise, and then objectives x seeds x label noise at the chosen rates.

    The held-out images have their true labels, as label noise touches the training split alone.
    """

    objectives: tuple[str, ...] = OBJECTIVES
    """Contenders; ce is the baseline."""
    rates: tuple[float, ...] = (1.25e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3)
    """Learning rates to choose from, in place of --learning-rate."""
    tuning_seeds: tuple[int, ...] = (100, 101)
    """Seeds on which rates are chosen; the comparison's should be others."""
    tuning_fraction: float = 0.2
    """Share of each class's training images held out to choose by; the comparison trains on all of them."""
    label_noise: tuple[float, ...] = (0.0, 0.2)
    """Shares of flipped training labels; rates are chosen for each on its own."""


def tuning_entries(config: RatesConfig) -> list[Entry]:
    """Every objective at every rate; in the table, each rate of a label noise is a condition.

    Raises:
        ValueError: Nothing is held out, a seed is to tune and to compare, or the comparison to follow would be empty.
    """
    if not 0 < config.tuning_fraction < 1:
        raise ValueError(f"tuning_fraction is a share of the training images in (0, 1), not {config.tuning_fraction}")
    if shared := set(config.seeds) & set(config.tuning_seeds):
        raise ValueError(f"seed {min(shared)} is to tune and to compare; give other --tuning-seeds")
    check_comparison(crossed(config, by_noise(config, config.label_noise), by_objective(config.objectives)), "ce", None)
    conditions = {
        f"{noise}, rate {rate:g}": {**setting, "learning_rate": rate, "validation_fraction": config.tuning_fraction}
        for noise, setting in by_noise(config, config.label_noise).items()
        for rate in config.rates
    }
    return crossed(config, conditions, by_objective(config.objectives), config.tuning_seeds)


def chosen_rates(runs: pd.DataFrame) -> pd.DataFrame:
    """The rate of the best mean validation accuracy, a row for each label noise and objective.

    Args:
        runs: The tuning's: label_noise, objective, learning_rate and validation_accuracy.

    Returns:
        label_noise, objective, learning_rate (of equally good ones the smallest), validation_accuracy (the mean).
    """
    case = ["label_noise", "objective"]
    mean = runs.groupby([*case, "learning_rate"], as_index=False, sort=True)["validation_accuracy"].mean()
    return mean.loc[mean.groupby(case, sort=False)["validation_accuracy"].idxmax()].reset_index(drop=True)


def rates_table(runs: pd.DataFrame) -> pd.DataFrame:
    """The chosen rates as text; a rate at an end of the grid says so, since a better one may lie beyond."""
    ends = {runs["learning_rate"].min(): " (smallest tried)", runs["learning_rate"].max(): " (largest tried)"}
    best = chosen_rates(runs).set_index(["label_noise", "objective"])
    cases = runs[["label_noise", "objective"]].drop_duplicates().itertuples(index=False)
    rows = []
    for noise, objective in cases:
        chosen = best.loc[(noise, objective)]
        rate = chosen["learning_rate"]
        rows.append(
            {
                "label noise": f"{100 * noise:g}%",
                "objective": objective,
                "chosen rate": f"{rate:g}{ends.get(rate, '')}",
                "validation %": f"{100 * chosen['validation_accuracy']:.1f}",
            }
        )
    return pd.DataFrame(rows)


def tuning_figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """Validation accuracy against the rate, the chosen one starred."""
    noise = runs["condition"].str.rpartition(", rate ")[0]
    drawn = points(runs, runs["learning_rate"], noise, "validation_accuracy")
    labels = ("learning rate", "validation accuracy, %")
    return {"accuracy_against_rate": against(drawn, labels, logarithmic=True, starred=True)}


def tuned_entries(config: RatesConfig, chosen: pd.DataFrame) -> list[Entry]:
    """Every objective at its chosen rate, on all training images and the comparison's seeds."""
    rates = chosen.set_index(["label_noise", "objective"])["learning_rate"]
    entries = crossed(config, by_noise(config, config.label_noise), by_objective(config.objectives))
    return [
        replace(entry, config=replace(entry.config, learning_rate=float(rates[run.label_noise, run.objective])))
        for entry in entries
        for run in [entry.config]
    ]


def at_chosen_rates(config: RatesConfig, runs: pd.DataFrame) -> Study[RatesConfig]:
    """The comparison that the tuning leads to."""
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
PUBLISHED = "all objectives share the rate 5e-4; others were not looked at"

LEARNING_RATE = Study(
    name="learning-rate",
    title="Tuning of the learning rate, with an equal budget for each objective",
    question=QUESTION,
    published=PUBLISHED,
    config=RatesConfig(),
    entries=tuning_entries,
    figures=tuning_figures,
    measures=("validation_accuracy", "final_accuracy"),
    tables=lambda runs: {"chosen_rates": rates_table(runs)},
    then=at_chosen_rates,
)

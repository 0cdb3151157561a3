"""A comparison with an equal tuning budget: each objective at its own best learning rate."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from experiments.config.entry import Entry
from experiments.studies.figures import differences
from experiments.studies.study import OBJECTIVES, Grid, Study, by_noise
from experiments.studies.tuning import (
    TuningConfig,
    chosen_rates,
    contenders,
    tuned_entries,
    tuning_entries,
    tuning_study,
)


@dataclass(frozen=True, kw_only=True)
class RatesConfig(TuningConfig):
    """Objectives x rates x label noise on tuning seeds, and then objectives x label noise at the chosen rates."""

    objectives: tuple[str, ...] = OBJECTIVES
    stopped: tuple[str, ...] = ("ce",)
    fewer_epochs: tuple[int, ...] = (10,)
    """CE also runs with these numbers of epochs: training stops early, in all tasks at the same point."""


def compared(config: RatesConfig) -> Grid:
    """The contenders of a tuning, and ce with fewer epochs."""
    if config.epochs in config.fewer_epochs:
        raise ValueError(
            f"--fewer-epochs {config.epochs} are the epochs of all contenders already: give fewer, or none"
        )
    return {
        **contenders(config),
        **{f"ce, {epochs} epochs": {"objective": "ce", "epochs": epochs} for epochs in config.fewer_epochs},
    }


def entries(config: RatesConfig) -> list[Entry]:
    """Every contender at every rate."""
    return tuning_entries(config, by_noise(config, config.label_noise), compared(config))


def at_chosen_rates(config: RatesConfig, runs: pd.DataFrame) -> Study[RatesConfig]:
    """The comparison at the chosen rates."""
    chosen = chosen_rates(runs)
    return Study(
        name="at-chosen-rates",
        title="Objectives, each at its own learning rate",
        question=QUESTION,
        published=PUBLISHED,
        config=config,
        entries=lambda each: tuned_entries(each, by_noise(each, each.label_noise), compared(each), chosen),
        figures=lambda finished: {"differences": differences(finished, "ce")},
    )


QUESTION = "Is an objective better, or does it only suit the one learning rate at which all are usually compared?"
PUBLISHED = "all objectives share the rate 5e-4; others were not studied"

LEARNING_RATE = tuning_study(
    name="learning-rate",
    title="Tuning of the learning rate, with an equal budget for each objective",
    question=QUESTION,
    published=PUBLISHED,
    config=RatesConfig(),
    entries=entries,
    follow_up=at_chosen_rates,
)

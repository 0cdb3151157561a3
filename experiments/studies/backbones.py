"""The same stream seen by backbones that know more and more about its images, each objective at its own rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from experiments.config.entry import Entry
from experiments.runs.measures import columns
from experiments.studies.figures import differences, heat_map
from experiments.studies.gains import changes_of_gains
from experiments.studies.study import Grid, Study, by_noise, by_objective
from experiments.studies.tuning import (
    CLEAN,
    NOISY,
    TuningConfig,
    chosen_rates,
    rates_table,
    tuned_entries,
    tuning_entries,
    tuning_figures,
)

RANDOM = "random"


@dataclass(frozen=True, kw_only=True)
class BackbonesConfig(TuningConfig):
    """Objectives x backbones x label noise x rates on tuning seeds, and then objectives at the chosen rates."""

    dataset: str = "photos"
    epochs: int = 10
    rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3, 8e-3)
    label_noise: tuple[float, ...] = (0.0,)
    objectives: tuple[str, ...] = ("ce", "epg", "aepg")
    """Contenders; ce is the baseline."""
    backbones: tuple[str, ...] = (RANDOM, "vit_micro_patch8_32", "vit_mini_patch16_64")
    """Backbones, in place of --model, from the weakest to the strongest: timm names, NAME=FILE for a local file of
    weights, or random for the dataset's own backbone with random weights.
    """


def backbone_settings(backbone: str) -> dict[str, Any]:
    """The settings of a backbone.

    Raises:
        ValueError: `=` is followed by no file.

    >>> backbone_settings("vit_tiny_patch16_224=own.safetensors")
    {'model': 'vit_tiny_patch16_224', 'weights': 'own.safetensors'}
    """
    if backbone == RANDOM:
        return {"model": "auto", "pretrained": False}
    model, equals, weights = backbone.partition("=")
    if equals and not weights:
        raise ValueError(f"--backbones {backbone}: give the file of the weights after =")
    return {"model": model, "weights": weights} if weights else {"model": model}


def conditions(config: BackbonesConfig) -> Grid:
    """Backbones x label noise."""
    return {
        f"{backbone.partition('=')[0]}, {noise}": {**backbone_settings(backbone), **setting}
        for backbone in config.backbones
        for noise, setting in by_noise(config, config.label_noise).items()
    }


def entries(config: BackbonesConfig) -> list[Entry]:
    """Every objective at every rate with every backbone."""
    return tuning_entries(config, conditions(config), by_objective(config.objectives))


def at_own_rates(config: BackbonesConfig, runs: pd.DataFrame) -> Study[BackbonesConfig]:
    """Each objective at the rate that was chosen for it, on fresh seeds."""
    chosen = chosen_rates(runs)
    found = list(conditions(config))
    stronger = [
        (found[place], found[place - len(config.label_noise)]) for place in range(len(config.label_noise), len(found))
    ]
    return Study(
        name="at-own-rates",
        title="Strength of the backbone: each objective at its own learning rate",
        question=QUESTION,
        published=PUBLISHED,
        config=config,
        entries=lambda each: tuned_entries(each, conditions(each), by_objective(each.objectives), chosen),
        figures=lambda finished: {"final_accuracies": heat_map(finished), "differences": differences(finished, "ce")},
        tables=lambda finished: {"stronger_backbones": changes_of_gains(finished, stronger)},
    )


QUESTION = "Does the order of the objectives depend on how much the backbone knows about the images?"
PUBLISHED = (
    "one backbone, a ViT-B/16 that knows ImageNet; only Table 3 trains from random weights, where EPG alone fails"
)

BACKBONES = Study(
    name="backbones",
    title="Strength of the backbone: tuning of the learning rate",
    question=QUESTION,
    published=PUBLISHED,
    config=BackbonesConfig(),
    entries=entries,
    figures=tuning_figures,
    measures=columns(NOISY, CLEAN, "final_accuracy"),
    tables=lambda runs: {"chosen_rates": rates_table(runs)},
    follow_up=at_own_rates,
)

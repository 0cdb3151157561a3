"""The same images seen by backbones that know nothing, characters, or photographs, each objective at its own rate."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.config.entry import Entry
from experiments.studies.figures import differences, heat_map
from experiments.studies.gains import EXPLANATION, Change, changes_table
from experiments.studies.study import Grid, Study, by_noise, unique_names
from experiments.studies.tuning import (
    TuningConfig,
    chosen_rates,
    contenders,
    tuned_entries,
    tuning_entries,
    tuning_study,
)

RANDOM = "random"


@dataclass(frozen=True, kw_only=True)
class BackbonesConfig(TuningConfig):
    """Objectives x backbones x label noise x rates on tuning seeds, and then objectives at the chosen rates."""

    dataset: str = "photos"
    epochs: int = 10
    rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3, 8e-3)
    label_noise: tuple[float, ...] = (0.0,)
    backbones: tuple[str, ...] = (
        "vit_micro_patch8_32=random",
        "vit_micro_patch8_32",
        "vit_mini_patch16_64=random",
        "vit_mini_patch16_64",
    )
    """Backbones, in place of --model: timm names, NAME=random for random weights, or NAME=FILE for a local file of
    weights. Each is compared with the one before.
    """


def backbone_settings(backbone: str) -> dict[str, Any]:
    """The settings of a backbone.

    Raises:
        ValueError: `=` is followed by no file.

    >>> backbone_settings("vit_tiny_patch16_224=own.safetensors")
    {'model': 'vit_tiny_patch16_224', 'weights': 'own.safetensors'}
    """
    model, equals, weights = backbone.partition("=")
    if equals and not weights:
        raise ValueError(f"--backbones {backbone}: give the file of the weights after =, or the word {RANDOM}")
    if weights == RANDOM:
        return {"model": model, "pretrained": False}
    return {"model": model, "weights": weights} if weights else {"model": model}


def backbone_name(backbone: str) -> str:
    """A backbone in a table: a file of weights without its folder.

    >>> backbone_name("vit_tiny_patch16_224=weights/own.safetensors")
    'vit_tiny_patch16_224=own.safetensors'
    """
    model, equals, weights = backbone.partition("=")
    return f"{model}{equals}{Path(weights).name}"


def conditions(config: BackbonesConfig) -> Grid:
    """Backbones x label noise."""
    return unique_names(
        (f"{backbone_name(backbone)}, {noise}", {**backbone_settings(backbone), **setting})
        for backbone in config.backbones
        for noise, setting in by_noise(config, config.label_noise).items()
    )


def entries(config: BackbonesConfig) -> list[Entry]:
    """Every objective at every rate with every backbone.

    Raises:
        ValueError: All backbones are to be random.
    """
    if not config.pretrained:
        raise ValueError(f"--no-pretrained: name backbones as NAME={RANDOM} in --backbones")
    return tuning_entries(config, conditions(config), contenders(config))


def successive(config: BackbonesConfig) -> list[Change]:
    """Each backbone and the one before it, under each label noise."""
    return [
        (f"{backbone_name(after)}, {noise}", f"{backbone_name(before)}, {noise}")
        for before, after in pairwise(config.backbones)
        for noise in by_noise(config, config.label_noise)
    ]


def at_own_rates(config: BackbonesConfig, runs: pd.DataFrame) -> Study[BackbonesConfig]:
    """Each objective at the rate that was chosen for it, on fresh seeds."""
    chosen = chosen_rates(runs)
    return Study(
        name="at-own-rates",
        title="Strength of the backbone: each objective at its own learning rate",
        question=QUESTION,
        published=PUBLISHED,
        config=config,
        entries=lambda each: tuned_entries(each, conditions(each), contenders(each), chosen),
        figures=lambda finished: {"final_accuracies": heat_map(finished), "differences": differences(finished, "ce")},
        tables=lambda finished: changes_table("other_backbones", finished, successive(config), config.objectives),
        explanations={"other_backbones": EXPLANATION},
    )


QUESTION = "Does the order of the objectives depend on how much the backbone knows about the images?"
PUBLISHED = "one backbone, a ViT-B/16 that knows ImageNet"

BACKBONES = tuning_study(
    name="backbones",
    title="Strength of the backbone: tuning of the learning rate",
    question=QUESTION,
    published=PUBLISHED,
    config=BackbonesConfig(),
    entries=entries,
    follow_up=at_own_rates,
)

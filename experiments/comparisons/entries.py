"""The runs of the comparisons `compare` and `bounds`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.config.entry import Entry
from experiments.config.settings import BoundsConfig, CompareConfig, RunConfig, shared_settings


def objective_entries(config: CompareConfig) -> list[Entry]:
    """Every objective at every share of label noise, on every seed."""
    return [
        Entry(
            "label noise by matrix" if config.noise_matrix else f"{100 * noise:g}% label noise",
            objective,
            RunConfig(objective=objective, label_noise=noise, seed=seed, **shared_settings(config)),
        )
        for seed in config.seeds
        for noise in ((0.0,) if config.noise_matrix else config.label_noise)
        for objective in config.objectives
    ]


def bounds_entries(config: BoundsConfig) -> list[Entry]:
    """The same learner on one task after another, on all classes at once, and on random frozen features.

    Raises:
        ValueError: The stream is not a class-incremental one of several tasks with clean labels.
    """
    if config.scenario != "class-incremental" or config.noise_matrix is not None or config.num_tasks == 1:
        raise ValueError("bounds are those of class-incremental learning of several tasks with clean labels")
    contenders: Mapping[str, dict[str, Any]] = {
        "sequential": {},
        "joint": {"num_tasks": 1, "init_classes": None, "increment": None},
        "frozen random": {"pretrained": False, "weights": None, "peft": "none"},
    }
    shared = shared_settings(config)
    return [
        Entry("clean labels", name, RunConfig(objective=config.objective, seed=seed, **(shared | changes)))
        for seed in config.seeds
        for name, changes in contenders.items()
    ]

"""What a study is: a question, the runs that answer it, and the figures that show the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pandas as pd
from matplotlib.figure import Figure

from experiments.comparisons.entries import Entry
from experiments.config.settings import RunConfig, Settings, shared_settings
from experiments.reports.tables import SHOWN

OBJECTIVES = (
    "ce",
    "focal:gamma=1",
    "ls:gamma=0.1",
    "cp:beta=0.1",
    "epg",
    "aepg",
    "ep:beta=1",
    "gce:q=0.7",
    "sce",
    "reinforce:samples=1",
)
"""The paper's objectives with its parameters, two losses made for label noise, and the sampled policy gradient."""

SETTINGS = ("objective", "label_noise", "learning_rate", "peft", "blocks", "method", "num_tasks")
"""What the figures of a study may need to know of a run, beside its place in the table."""

Cells = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class StudyConfig(Settings):
    """What all runs of a study share, and its seeds."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Every contender runs on each of them."""


Config = TypeVar("Config", bound=StudyConfig)


def _no_tables(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Study(Generic[Config]):
    """A question that many runs answer.

    Attributes:
        name: By which it is asked for.
        title: What it is, and where the paper has it.
        question: What it is to answer.
        published: What the paper found, in a sentence; or that it did not look.
        config: The settings by default.
        entries: The runs of a configuration.
        figures: Of the finished runs, by name; they know the columns of `run_all` and `SETTINGS`.
        baseline: The contender to whom the paired differences are taken.
        measures: The columns of the table.
        tables: Further tables, by name.
        then: The study that the finished runs lead to, such as one at the learning rates that they chose.
    """

    name: str
    title: str
    question: str
    published: str
    config: Config
    entries: Callable[[Config], list[Entry]]
    figures: Callable[[pd.DataFrame], dict[str, Figure]]
    baseline: str = "ce"
    measures: tuple[str, ...] = SHOWN
    tables: Callable[[pd.DataFrame], dict[str, pd.DataFrame]] = _no_tables
    then: Callable[[Config, pd.DataFrame], Study[Config]] | None = None


def crossed(
    config: StudyConfig, conditions: Cells, contenders: Cells, seeds: Iterable[int] | None = None
) -> list[Entry]:
    """Every contender under every condition, on the same seeds.

    Args:
        config: What all share.
        conditions: By name, what a condition changes of it.
        contenders: By name, what a contender changes of that.
        seeds: In place of the configuration's.
    """
    shared = shared_settings(config)
    return [
        Entry(condition, contender, RunConfig(**{**shared, "seed": seed, **setting, **changes}))
        for seed in (config.seeds if seeds is None else seeds)
        for condition, setting in conditions.items()
        for contender, changes in contenders.items()
    ]


def by_objective(objectives: Iterable[str]) -> Cells:
    """Contenders that differ in their objective, by its specification."""
    return {objective: {"objective": objective} for objective in objectives}


def by_noise(config: StudyConfig, shares: Iterable[float]) -> Cells:
    """Conditions that differ in their share of flipped training labels, named as `compare` names them."""
    if config.noise_matrix is not None:
        return {"label noise by matrix": {}}
    return {f"{100 * share:g}% label noise": {"label_noise": share} for share in shares}


def with_settings(runs: pd.DataFrame, entries: Iterable[Entry]) -> pd.DataFrame:
    """The runs with what their configurations say of `SETTINGS`, a column each.

    Args:
        runs: One row a run, in the order of the entries.
        entries: The same runs.
    """
    configs = [entry.config for entry in entries]
    return runs.assign(**{name: [getattr(config, name) for config in configs] for name in SETTINGS})

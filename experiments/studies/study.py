"""A study: a question, the runs that answer it, and the figures that show the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

import pandas as pd
from matplotlib.figure import Figure

from experiments.config.entry import Entry
from experiments.config.settings import RunConfig, Settings, shared_settings
from experiments.reports.tables import DEFAULT_COLUMNS
from experiments.runs.measure import Measure

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
"""The paper's objectives with its parameters, two losses for label noise, and the sampled policy gradient."""

Grid = Mapping[str, Mapping[str, Any]]
"""Settings that are changed, by the name of a condition or a contender."""


@dataclass(frozen=True, kw_only=True)
class StudyConfig(Settings):
    """The settings that all runs of a study share, and its seeds."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Every contender runs on each of them."""


Config = TypeVar("Config", bound=StudyConfig)


def _no_tables(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Study(Generic[Config]):
    """A question that many runs answer.

    Attributes:
        name: Name on the command line.
        title: Title, with the place in the paper.
        question: The question that it answers.
        published: What the paper found, in a sentence, or that it did not look.
        config: The default settings.
        entries: Makes the runs of a configuration.
        figures: Draws figures, by name, of the finished runs: one row a run, with the columns of `run_all` and one for
            each field of `RunConfig`.
        baseline: The contender that is subtracted from the others.
        measures: Columns of the table.
        tables: Makes further tables, by name, of the same rows.
        explanations: What the columns of a further table mean, by its name.
        follow_up: Makes the study that follows from the finished runs, such as one at the learning rates they chose.
    """

    name: str
    title: str
    question: str
    published: str
    config: Config
    entries: Callable[[Config], list[Entry]]
    figures: Callable[[pd.DataFrame], dict[str, Figure]]
    baseline: str = "ce"
    measures: tuple[Measure, ...] = DEFAULT_COLUMNS
    tables: Callable[[pd.DataFrame], dict[str, pd.DataFrame]] = _no_tables
    explanations: Mapping[str, str] = field(default_factory=dict)
    follow_up: Callable[[Config, pd.DataFrame], Study[Config]] | None = None


def grid(config: StudyConfig, conditions: Grid, contenders: Grid, seeds: Iterable[int] | None = None) -> list[Entry]:
    """Every contender under every condition, on the same seeds.

    Args:
        config: Settings of all runs.
        conditions: Settings that each condition changes.
        contenders: Settings that each contender changes.
        seeds: Seeds in place of the configuration's.
    """
    shared = shared_settings(config)
    return [
        Entry(condition, contender, RunConfig(**{**shared, "seed": seed, **setting, **changes}))
        for seed in (config.seeds if seeds is None else seeds)
        for condition, setting in conditions.items()
        for contender, changes in contenders.items()
    ]


def unique_names(named: Iterable[tuple[str, Mapping[str, Any]]]) -> Grid:
    """Conditions or contenders, by name.

    Raises:
        ValueError: A name is given twice.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for name, settings in named:
        if name in found:
            raise ValueError(f"{name!r} is given twice: name each value once")
        found[name] = settings
    return found


def by_objective(objectives: Iterable[str]) -> Grid:
    """Contenders that differ in their objective, by its specification."""
    return unique_names((objective, {"objective": objective}) for objective in objectives)


def by_noise(config: Settings, shares: Iterable[float]) -> Grid:
    """Conditions that differ in their share of flipped training labels, with the names that `compare` gives them."""
    if config.noise_matrix is not None:
        return {"label noise by matrix": {}}
    return unique_names((f"{100 * share:g}% label noise", {"label_noise": share}) for share in shares)


def with_settings(runs: pd.DataFrame, entries: Iterable[Entry]) -> pd.DataFrame:
    """Add a column to the runs for each field of `RunConfig`.

    Args:
        runs: One row a run, in the order of the entries.
        entries: The same runs.
    """
    configs = [entry.config for entry in entries]
    names = [field.name for field in fields(RunConfig)]
    return runs.assign(**{name: [getattr(config, name) for config in configs] for name in names})

"""Annealing beyond the paper's: attempts on development seeds, then finalists on fresh seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cls_env.specification import lookup
from experiments.comparisons.compare import check_comparison
from experiments.config.entry import Entry
from experiments.reports.tables import summary_table
from experiments.runs.measures import columns
from experiments.studies.figures import differences, heat_map
from experiments.studies.study import Study, StudyConfig, by_noise, grid


@dataclass(frozen=True)
class Contender:
    """An objective with other settings that it changes."""

    objective: str
    changes: Mapping[str, Any] = field(default_factory=dict)


CONTENDERS: dict[str, Contender] = {
    # label of at most 14 characters: the objective, and its settings
    "ce": Contender("ce"),
    "ce b2 0.99": Contender("ce", {"adam_betas": (0.9, 0.99)}),
    "epg": Contender("epg"),
    "aepg": Contender("aepg"),
    "aepg b2 0.99": Contender("aepg", {"adam_betas": (0.9, 0.99)}),
    "aepg b2 0.9": Contender("aepg", {"adam_betas": (0.9, 0.9)}),
    "aepg-entropy": Contender("aepg-entropy"),
    "aepg-geometric": Contender("aepg-geometric"),
    "naepg": Contender("naepg"),
    "naepg-geom.": Contender("naepg-geometric"),
}
FINALISTS = ("ce", "epg", "aepg", "naepg-geom.")
BASELINE = "aepg"
MEASURES = columns("final_accuracy", "average_accuracy", "task_test_entropy", "parameter_distance")


@dataclass(frozen=True, kw_only=True)
class AttemptsConfig(StudyConfig):
    """Attempts x label noise x development seeds, then finalists x label noise x fresh seeds."""

    attempts: tuple[str, ...] = tuple(CONTENDERS)
    """Contenders on --seeds, the development seeds."""
    finalists: tuple[str, ...] = FINALISTS
    """Contenders on the fresh seeds; to be named before those are run."""
    fresh_seeds: tuple[int, ...] = tuple(range(10, 20))
    """Seeds on which nothing was chosen."""
    label_noise: tuple[float, ...] = (0.0, 0.2)
    """Shares of flipped training labels."""


def contend(config: AttemptsConfig, labels: Iterable[str], seeds: Iterable[int]) -> list[Entry]:
    """The named contenders of `CONTENDERS` under every label noise.

    Raises:
        ValueError: A label is unknown.
    """
    named = {label: lookup("contender", label, CONTENDERS) for label in labels}
    changes = {label: {"objective": each.objective, **each.changes} for label, each in named.items()}
    return grid(config, by_noise(config, config.label_noise), changes, seeds)


def attempts(config: AttemptsConfig) -> list[Entry]:
    """All attempts on the development seeds.

    Raises:
        ValueError: A label is unknown, a fresh seed is among the development seeds, or the finalists can't be compared.
    """
    if shared := set(config.seeds) & set(config.fresh_seeds):
        raise ValueError(f"seed {min(shared)} is not fresh: it is a development seed too; give other --fresh-seeds")
    check_comparison(contend(config, config.finalists, config.fresh_seeds), BASELINE)
    return contend(config, config.attempts, config.seeds)


def figures(runs: pd.DataFrame) -> dict[str, Figure]:
    """What each gains over aEPG, and A_T itself."""
    return {"differences": differences(runs, BASELINE), "final_accuracies": heat_map(runs)}


def on_fresh_seeds(config: AttemptsConfig, runs: pd.DataFrame) -> Study[AttemptsConfig]:
    """The finalists, whatever the attempts gave: they are named, not picked from the results."""
    return Study(
        name="fresh-seeds",
        title="Beyond aEPG: finalists on fresh seeds",
        question=QUESTION,
        published=PUBLISHED,
        config=config,
        entries=partial(contend, labels=config.finalists, seeds=config.fresh_seeds),
        figures=figures,
        baseline=BASELINE,
        measures=MEASURES,
        tables=against_epg,
    )


def against_epg(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The same table with differences to EPG, the most robust of the paper's, in place of aEPG."""
    return {"against_epg": summary_table(runs, "epg", MEASURES)} if "epg" in set(runs["contender"]) else {}


QUESTION = "Is there an annealing with EPG's robustness to wrong labels and aEPG's accuracy on right ones?"
PUBLISHED = "sigmoid, linear and cosine schedules alone, with comparable results"

BEYOND_AEPG = Study(
    name="beyond-aepg",
    title="Beyond aEPG: attempts on development seeds",
    question=QUESTION,
    published=PUBLISHED,
    config=AttemptsConfig(),
    entries=attempts,
    figures=figures,
    baseline=BASELINE,
    measures=MEASURES,
    tables=against_epg,
    follow_up=on_fresh_seeds,
)

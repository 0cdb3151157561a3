"""The trials of all searches, round by round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from experiments.config.entry import Entry
from experiments.config.resolved import resolve
from experiments.config.settings import RunConfig, shared_settings
from experiments.config.tuning import TuneConfig
from experiments.config.validation import check
from experiments.console import say
from experiments.runs.job import Job
from experiments.runs.run_folder import RunFolder
from experiments.tuning.search import Search, Trial, search_of
from experiments.tuning.space import Point, Space
from experiments.tuning.trial_run import Accuracies, accuracies_of, has_diverged, trial_job

Execute = Callable[[Sequence[Entry], Job], Sequence[RunFolder]]
"""Executes runs, and returns their folders."""
FINISHED, STOPPED, DIVERGED = "finished", "stopped", "diverged"
"""How trials end."""


@dataclass(frozen=True, eq=False)
class Contest:
    """An objective under a condition, for which settings are searched.

    Attributes:
        condition: Name of the condition.
        changes: Settings of the condition.
        space: The settings among which is chosen.
        search: Chooses.
    """

    condition: str
    changes: Mapping[str, Any]
    space: Space
    search: Search


@dataclass(frozen=True, eq=False)
class Candidate:
    """A trial of a contest."""

    contest: Contest
    trial: Trial


@dataclass(frozen=True)
class _Result:
    tasks: int
    accuracies: Accuracies
    diverged: bool


def contests(config: TuneConfig, spaces: Sequence[Space], conditions: Mapping[str, Mapping[str, Any]]) -> list[Contest]:
    """A contest for each objective under each condition."""
    return [
        Contest(condition, changes, space, search_of(space, config))
        for condition, changes in conditions.items()
        for space in spaces
    ]


def trial_entries(config: TuneConfig, contest: Contest, name: str, point: Point) -> list[Entry]:
    """The runs of some settings, one for each tuning seed.

    Args:
        config: The settings of the search.
        contest: The objective and the condition.
        name: Of the contender, in what is printed.
        point: The settings.
    """
    settings: dict[str, Any] = {**shared_settings(config), **contest.changes, **point._asdict()}
    settings["validation_fraction"] = config.tuning_fraction
    return [Entry(contest.condition, name, RunConfig(**settings, seed=seed)) for seed in config.tuning_seeds]


def run_trials(config: TuneConfig, contested: Sequence[Contest], execute: Execute) -> pd.DataFrame:
    """Run the trials of all contests, in rounds in which those of all contests run at the same time.

    The choices depend on the results alone, not on which run ends first.

    Args:
        config: The settings of the search.
        contested: The contests.
        execute: Executes runs.

    Returns:
        A row for each trial: condition, contender, trial, objective, learning_rate, state, tasks (that it has learned),
        validation_accuracy and validation_accuracy_clean, means over the tuning seeds.
    """
    count = len(resolve(trial_entries(config, contested[0], "", contested[0].space.grid(1)[0])[0].checked).stream.tasks)
    stages = [*halving_stages(config.halving, count), None]
    rows: list[dict[str, Any]] = []
    left, number, rounds = config.trials, 0, -(-config.trials // config.round_size)
    while left:
        size, number = min(left, config.round_size), number + 1
        left -= size
        candidates = [Candidate(contest, trial) for contest in contested for trial in contest.search.ask(size)]
        for stage in stages:
            learned = f"{stage} of {count} tasks" if stage else f"{count} tasks"
            say(f"round {number} of {rounds}: {len(candidates)} trials, {learned}", highlight=False)
            results = _run_stage(config, candidates, stage, count, execute)
            candidates, ended = _decide(candidates, results, stage)
            rows += [_row(*each) for each in ended]
            if not candidates:
                break
    places = {(each.condition, each.space.contender): place for place, each in enumerate(contested)}
    rows.sort(key=lambda row: (places[row["condition"], row["contender"]], row["trial"]))
    return pd.DataFrame(rows)


def halving_stages(factor: int | None, tasks: int) -> list[int]:
    """After how many tasks it is decided which trials go on.

    >>> halving_stages(3, 10), halving_stages(2, 2), halving_stages(None, 10)
    ([1, 3, 9], [1], [])
    """
    found, stage = [], 1
    while factor is not None and stage < tasks:
        found.append(stage)
        stage *= factor
    return found


def _run_stage(
    config: TuneConfig, candidates: Sequence[Candidate], stage: int | None, count: int, execute: Execute
) -> list[_Result]:
    """Run candidates up to a stage, and return their results."""
    runs = [
        trial_entries(
            config, each.contest, f"{each.contest.space.contender}, trial {each.trial.number}", each.trial.point
        )
        for each in candidates
    ]
    distinct = {entry.config: entry for entries in runs for entry in entries}  # a search may choose a point twice
    folders = dict(zip(distinct, execute(list(distinct.values()), trial_job(stage)), strict=True))
    results = []
    for entries in runs:
        found = [folders[entry.config] for entry in entries]
        diverged = any(map(has_diverged, found))
        accuracies = [accuracies_of(folder, stage) for folder in found]
        mean = Accuracies(*(0.0 if diverged else float(np.mean(each)) for each in zip(*accuracies, strict=True)))
        results.append(_Result(stage or count, mean, diverged))
    return results


def _decide(
    candidates: Sequence[Candidate], results: Sequence[_Result], stage: int | None
) -> tuple[list[Candidate], list[tuple[Candidate, _Result, str]]]:
    """The candidates that go on, and those that end, with their results and how they end."""
    found = dict(zip(candidates, results, strict=True))
    going: list[Candidate] = []
    ended: list[tuple[Candidate, _Result, str]] = []
    for contest in dict.fromkeys(each.contest for each in candidates):
        its = {each: result for each, result in found.items() if each.contest is contest}
        over = {each: result for each, result in its.items() if result.diverged or stage is None}
        for each, result in over.items():
            contest.search.tell(each.trial, result.accuracies.noisy)
            ended.append((each, result, DIVERGED if result.diverged else FINISHED))
        left = {each.trial: result.accuracies.noisy for each, result in its.items() if each not in over}
        kept = contest.search.keep(left, stage) if stage is not None and left else []
        for each, result in its.items():
            if each.trial in kept:
                going.append(each)
            elif each not in over:
                ended.append((each, result, STOPPED))
    return going, ended


def _row(each: Candidate, result: _Result, state: str) -> dict[str, Any]:
    named = {"condition": each.contest.condition, "contender": each.contest.space.contender}
    found = {"state": state, "tasks": result.tasks}
    accuracies = {
        "validation_accuracy": result.accuracies.noisy,
        "validation_accuracy_clean": result.accuracies.clean,
    }
    return {**named, "trial": each.trial.number, **each.trial.point._asdict(), **found, **accuracies}


def chosen_points(trials: pd.DataFrame) -> dict[tuple[str, str], Point]:
    """The settings with the highest mean validation accuracy, by condition and contender; of equal ones the first.

    Args:
        trials: As `run_trials` returns them.

    Raises:
        ValueError: All trials of a contender diverged.
    """
    chosen: dict[tuple[str, str], Point] = {}
    for (condition, contender), rows in trials.groupby(["condition", "contender"], sort=False):
        finished = rows[rows["state"] == FINISHED]
        if finished.empty:
            raise ValueError(f"all trials of {contender} diverged, {condition}: give lower --rates")
        best = finished.loc[finished["validation_accuracy"].idxmax()]
        chosen[str(condition), str(contender)] = Point(best["objective"], float(best["learning_rate"]))
    return chosen


def compared_entries(
    config: TuneConfig, contested: Sequence[Contest], chosen: Mapping[tuple[str, str], Point]
) -> list[Entry]:
    """The runs of the comparison: each contender at its chosen settings, on the seeds and all training images."""
    entries = []
    for seed in config.seeds:
        for contest in contested:
            name = contest.space.contender
            (entry, *_) = trial_entries(config, contest, name, chosen[contest.condition, name])
            entries.append(replace(entry, config=replace(entry.config, seed=seed, validation_fraction=0.0)))
    return entries


def check_ends(config: TuneConfig, contested: Sequence[Contest]) -> None:
    """Check the settings at the ends of the ranges, before any run.

    Raises:
        ValueError: Some are impossible.
    """
    for contest in contested:
        for end in ("low", "high"):
            point = contest.space.point({each.name: getattr(each, end) for each in contest.space.ranges})
            check(trial_entries(config, contest, "", point)[0].config)


def planned_entries(config: TuneConfig, contested: Sequence[Contest]) -> Iterator[Entry]:
    """Runs that take as long as those of the search and of the comparison, if no trial is stopped."""
    for contest in contested:
        name = contest.space.contender
        middle = contest.space.grid(1)[0]
        for number, rate in enumerate(np.geomspace(*config.rates, config.trials)):
            point = middle._replace(learning_rate=float(rate))
            yield from trial_entries(config, contest, f"{name}, trial {number}", point)
    yield from compared_entries(
        config, contested, {(each.condition, each.space.contender): each.space.grid(1)[0] for each in contested}
    )

"""Searches for the best settings of one objective: a grid, or one of Optuna's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cls_env.command_line.errors import ReportedError
from experiments.config.tuning import TuneConfig
from experiments.tuning.space import Point, Space

MOST_AT_RANDOM = 10
"""Trials with which tpe begins; at most half of all."""


@dataclass(frozen=True)
class Trial:
    """Settings that are tried.

    Attributes:
        number: From 0 on, in the order in which they were chosen.
        point: The settings.
    """

    number: int
    point: Point


class Search(Protocol):
    """Chooses the settings of trials, and which of them go on."""

    def ask(self, count: int) -> list[Trial]:
        """The next trials."""

    def keep(self, accuracies: Mapping[Trial, float], tasks: int) -> list[Trial]:
        """The trials that go on after some tasks.

        Args:
            accuracies: The trials of a round that have come so far, with their validation accuracies.
            tasks: How many tasks they have learned.
        """

    def tell(self, trial: Trial, accuracy: float) -> None:
        """Note the validation accuracy of a trial that has learned all tasks, or whose training diverged."""


class GridSearch:
    """Tries evenly spaced settings, all to the end.

    Args:
        space: The settings.
        trials: How many are tried.

    Raises:
        ValueError: See `Space.grid`.
    """

    def __init__(self, space: Space, trials: int) -> None:
        self._left = [Trial(*each) for each in enumerate(space.grid(trials))]

    def ask(self, count: int) -> list[Trial]:
        """See `Search`."""
        asked, self._left = self._left[:count], self._left[count:]
        return asked

    def keep(self, accuracies: Mapping[Trial, float], tasks: int) -> list[Trial]:
        """See `Search`."""
        return list(accuracies)

    def tell(self, trial: Trial, accuracy: float) -> None:
        """See `Search`."""


class OptunaSearch:
    """Lets Optuna choose, with its random or its TPE sampler; trials are stopped by asynchronous successive halving.

    The same results of trials, told in the same order, lead to the same choices.

    Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011 (TPE); Li et al., "A System for
    Massively Parallel Hyperparameter Tuning", MLSys 2020 (ASHA).

    Args:
        space: The settings.
        config: The settings of the search.

    Raises:
        ReportedError: Optuna is not installed.
    """

    def __init__(self, space: Space, config: TuneConfig) -> None:
        optuna = _import_optuna()
        self._pruned = optuna.trial.TrialState.PRUNED
        self._space = space
        self._ranges: Mapping[str, Any] = {
            each.name: optuna.distributions.IntDistribution(int(each.low), int(each.high))
            if each.whole
            else optuna.distributions.FloatDistribution(each.low, each.high, log=each.logarithmic)
            for each in space.ranges
        }
        samplers = optuna.samplers
        sampler = (
            samplers.RandomSampler(config.search_seed)
            if config.search == "random"
            else samplers.TPESampler(
                seed=config.search_seed,
                n_startup_trials=min(MOST_AT_RANDOM, -(-config.trials // 2)),
                constant_liar=True,  # so that the trials of a round keep apart
            )
        )
        self._study = optuna.create_study(sampler=sampler, direction="maximize")
        self._running: dict[int, Any] = {}
        self._halving = config.halving
        self._reached: dict[int, list[float]] = {}

    def ask(self, count: int) -> list[Trial]:
        """See `Search`."""
        asked = [self._study.ask(dict(self._ranges)) for _ in range(count)]
        self._running |= {each.number: each for each in asked}
        return [Trial(each.number, self._space.point(each.params)) for each in asked]

    def keep(self, accuracies: Mapping[Trial, float], tasks: int) -> list[Trial]:
        """See `Search`."""
        if self._halving is None:
            return list(accuracies)
        reached = self._reached.setdefault(tasks, [])
        reached += accuracies.values()
        kept = [trial for trial, accuracy in accuracies.items() if is_kept(accuracy, reached, self._halving)]
        for trial, accuracy in accuracies.items():
            self._running[trial.number].report(accuracy, tasks)
            if trial not in kept:
                self._study.tell(self._running.pop(trial.number), state=self._pruned)
        return kept

    def tell(self, trial: Trial, accuracy: float) -> None:
        """See `Search`."""
        self._study.tell(self._running.pop(trial.number), accuracy)


def is_kept(accuracy: float, reached: Sequence[float], factor: int) -> bool:
    """Whether an accuracy is among the best 1/factor of those of all trials that have come so far, or the best.

    >>> [is_kept(each / 10, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], 3) for each in range(9, 3, -1)]
    [True, True, False, False, False, False]
    """
    return sum(each > accuracy for each in reached) < max(1, len(reached) // factor)


def search_of(space: Space, config: TuneConfig) -> Search:
    """The search of a configuration, in a space.

    Raises:
        ValueError: The grid does not have so many trials.
        ReportedError: Optuna is not installed.
    """
    return GridSearch(space, config.trials) if config.search == "grid" else OptunaSearch(space, config)


def _import_optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ReportedError("--search random and tpe need the package 'optuna': pip install 'cls-env[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna

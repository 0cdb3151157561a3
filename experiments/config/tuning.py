"""The settings of `cls-env tune`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cls_env.arguments import number, whole_number
from experiments.config.settings import Settings

MOST_TRIALS = 10_000


@dataclass(frozen=True, kw_only=True)
class TuneConfig(Settings):
    """What is searched, with how many trials, and what the results are compared on."""

    objectives: tuple[str, ...] = ("ce", "epg", "aepg")
    """Objectives to tune and to compare; the first is the baseline. An argument may be a range: gce:q=0.3..0.9"""
    label_noise: tuple[float, ...] = (0.0, 0.2)
    """Fractions of flipped training labels; each objective is tuned for each of them on its own."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Seeds of the comparison at the chosen settings."""
    rates: tuple[float, float] = (2e-4, 2e-2)
    """The lowest and the highest learning rate to try, in place of --learning-rate."""
    search: Literal["grid", "random", "tpe"] = "grid"
    """How settings are chosen: grid (evenly spaced), random, or tpe (where earlier ones were good). The last two need
    Optuna."""
    trials: int = 9
    """Settings to try for each objective, the same number for all."""
    round_size: int = 3
    """Settings of each objective that are tried at the same time. With tpe, the next ones depend on their results."""
    halving: int | None = None
    """With random or tpe: after 1, N, N x N, ... tasks, only the best 1/N of all trials so far go on (ASHA). By default
    all do."""
    tuning_seeds: tuple[int, ...] = (100, 101)
    """Seeds of the trials, each of which runs on all of them; the comparison's must be others."""
    tuning_fraction: float = 0.2
    """Share of each class's training images held out to choose by; the comparison trains on all of them."""
    search_seed: int = 0
    """Random seed of the search."""

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("--trials", self.trials, least=1)
        whole_number("--round-size", self.round_size, least=1)
        whole_number("--search-seed", self.search_seed, least=0)
        if self.trials > MOST_TRIALS:
            raise ValueError(f"--trials is {self.trials:,}, more than {MOST_TRIALS:,}")
        if self.search_seed >= 2**32:
            raise ValueError("--search-seed must be below 2**32")
        number("--tuning-fraction", self.tuning_fraction, "(0, 1)")
        for rate in self.rates:
            number("--rates", rate, "(0, inf)")
        if self.rates[0] >= self.rates[1]:
            raise ValueError(f"--rates takes the lowest and the highest rate, not {self.rates[0]:g} {self.rates[1]:g}")
        if self.halving is not None:
            whole_number("--halving", self.halving, least=2)
            if self.search == "grid":
                raise ValueError("--halving needs --search random or tpe: a grid tries all its settings to the end")
        self._check_separate()

    def _check_separate(self) -> None:
        """Check that trials and comparison use different seeds and images."""
        for option, seeds in (("--tuning-seeds", self.tuning_seeds), ("--seeds", self.seeds)):
            if not seeds:
                raise ValueError(f"{option} names no seed")
        if shared := set(self.seeds) & set(self.tuning_seeds):
            raise ValueError(f"seed {min(shared)} is to tune and to compare; give other --tuning-seeds")
        if self.validation_fraction:
            raise ValueError("--validation-fraction: tune sets it for each run; give --tuning-fraction")
        if self.early_stopping:
            raise ValueError("--early-stopping needs held-out images, and tune trains on all: drop it")

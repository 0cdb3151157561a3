"""The settings of the comparison of RL algorithms, and of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.config.entry import Entry
from experiments.config.identity import MEASURING, folder_name
from experiments.config.settings import RunConfig, Settings, shared_settings

PLAIN: dict[str, Any] = {
    "method": "sequential",
    "augment": "no",
    "optimizer": "adam",
    "adam_betas": (0.9, 0.999),
    "weight_decay": 0.0,
    "rate_milestones": (),
    "cache_features": False,
    "compile": False,
    "micro_batch": None,
    "on_divergence": "stop",
    "scenario": "class-incremental",
    "noise_matrix": None,
    "validation_fraction": 0.0,
    "anneal": "task",
    "early_stopping": False,
    "test_before_tasks": False,
    "label_fit": False,
}
"""Settings that all algorithms share, since not every algorithm supports other values."""
_CHANGES = {"augment": "auto", "cache_features": True}


@dataclass(frozen=True, kw_only=True)
class RlConfig(Settings):
    """Algorithms x seeds, on one stream with clean labels."""

    algorithms: tuple[str, ...] = (
        "epg",
        "aepg",
        "ce",
        "reinforce",
        "reinforce-baseline",
        "ppo",
        "a2c",
        "dqn",
        "epsilon-greedy",
        "boltzmann",
        "linucb",
        "thompson",
    )
    """Contenders, with arguments or without (ppo:n_epochs=10); the first is the baseline of the paired differences."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Every contender runs on each of them."""
    tests_per_task: int = 5
    """Evaluations on all tasks so far within each task, for the curves."""
    gradient_draws: int = 64
    """Batches over which the variance of gradient estimates is taken, at least 2."""


@dataclass(frozen=True, kw_only=True)
class AlgorithmRun(RunConfig):
    """One algorithm on one seed."""

    algorithm: str = "epg"
    """A name in `experiments.rl.algorithms.ALGORITHMS`, with arguments or without."""
    tests_per_task: int = 5
    """Evaluations on all tasks so far within each task."""

    @property
    def name(self) -> str:
        """Readable, and different for every different configuration."""
        return folder_name((self.data_name, self.algorithm, f"seed{self.seed}"), type(self), self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON. The algorithm stands for the objective."""
        return {key: value for key, value in super().as_json().items() if key != "objective"}


def algorithm_entries(config: RlConfig) -> list[Entry]:
    """The runs of a comparison.

    Raises:
        ValueError: A setting is changed that not all algorithms know, or is out of range.
    """
    for name, plain in PLAIN.items():
        value = getattr(config, name)
        if value in (plain, _CHANGES.get(name, plain)):
            continue
        option = f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
        if name in MEASURING:
            raise ValueError(f"{option} has no effect: no measure of this comparison needs it")
        raise ValueError(f"{option}: not every algorithm of this comparison knows it; they share {plain!r}")
    if config.tests_per_task < 1:
        raise ValueError(f"tests_per_task must be at least 1, not {config.tests_per_task}")
    if config.gradient_draws < 2:
        raise ValueError(f"gradient_draws must be at least 2, not {config.gradient_draws}")
    shared = shared_settings(config) | PLAIN
    return [
        Entry(
            "clean labels",
            algorithm,
            AlgorithmRun(algorithm=algorithm, seed=seed, tests_per_task=config.tests_per_task, **shared),
        )
        for seed in config.seeds
        for algorithm in config.algorithms
    ]

"""What a measure of a run is, and how measures are found by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cls_env.specification import lookup

LARGEST_NLL = 1e4
"""In nats. A policy that is wrong and certain on every image reaches some hundred, a diverged one millions."""


@dataclass(frozen=True)
class Measure:
    """A number, or a list of numbers, that a finished run is described by.

    Attributes:
        name: Key in `metrics.json`, column of `runs.csv`, and name for `--measures`.
        heading: Column heading in tables; empty for a list of numbers, which tables do not show.
        factor: What tables multiply the value by: 100 for percent. Above 1, they show one decimal, else two.
        definition: The definition in words, for the protocol card.
        compute: Computes it: from a `FinishedRun`, or in the comparison of RL algorithms from a `FinishedAlgorithm`.
            None stands for a value that the run does not have.
        needs: The setting that must be on for it, such as `test_before_tasks`, since the run then makes passes of its
            own; empty if none. Where the setting is off, the value is None.
        better: Whether higher or lower values are better; empty if neither is, as for an entropy. Tables show it as an
            arrow, and LaTeX has the best value in bold.
    """

    name: str
    heading: str
    factor: float
    definition: str
    compute: Callable[[Any], Any]
    needs: Literal["", "test_before_tasks", "label_fit"] = ""
    better: Literal["", "higher", "lower"] = ""


def by_name(measures: Iterable[Measure]) -> dict[str, Measure]:
    """A table of measures, in their order."""
    return {measure.name: measure for measure in measures}


def find_measures(names: Iterable[str], known: Mapping[str, Measure]) -> tuple[Measure, ...]:
    """Find the measures for the columns of a table.

    Args:
        names: Their names.
        known: The measures of the run.

    Raises:
        ValueError: A name is unknown, or of a list of numbers.
    """
    columns = {name: measure for name, measure in known.items() if measure.heading}
    return tuple(lookup("measure", name, columns) for name in dict.fromkeys(names))


def refuse_absurd(metrics: Mapping[str, Any], learning_rate: float) -> None:
    """Check that the metrics are not those of a diverged run, before they are saved.

    Args:
        metrics: Numbers, lists of numbers, or None for a value that the run does not have.
        learning_rate: Learning rate of the run, for the message.

    Raises:
        DivergedError: A value is not finite, or `nll` is above `LARGEST_NLL`.
    """
    for name, value in metrics.items():
        values = np.ravel(np.array([] if value is None else value, dtype=float))
        if not np.isfinite(values).all() or (name == "nll" and (values > LARGEST_NLL).any()):
            from agents.optimization.divergence import DivergedError  # it imports PyTorch, which a list does not need

            raise DivergedError(
                f"training diverged: {name} is {value} with learning rate {learning_rate:g}; use a smaller "
                "--learning-rate"
            )

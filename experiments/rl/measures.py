"""The measures of a run of the comparison of RL algorithms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.rl.curve import CurvePoint
from experiments.runs.measure import Measure, by_name, find_measures
from experiments.runs.measures import MEASURES
from experiments.runs.metrics import Matrix, accuracy_over_images_curve


@dataclass(frozen=True)
class FinishedAlgorithm:
    """What the measures of a finished run are computed from.

    Attributes:
        matrix: Accuracy on each task after each task, shape (T, T).
        test_images: Number of test images of each task, shape (T,).
        end: The last evaluation.
        outputs_policy: Whether the network's outputs are logits of a policy.
    """

    matrix: Matrix
    test_images: NDArray[np.int64]
    end: CurvePoint
    outputs_policy: bool

    @property
    def over_images(self) -> Matrix:
        """Accuracy over all test images of the tasks seen, after each task, shape (T,)."""
        return accuracy_over_images_curve(self.matrix, self.test_images)


_SHARED = (
    *("final_accuracy", "average_accuracy", "forgetting"),
    *("accuracy_curve", "final_accuracy_over_images", "accuracy_over_images_curve"),
)
"""Measures that are computed as those of other runs."""

ALGORITHM_MEASURES: dict[str, Measure] = by_name(
    (
        *(MEASURES[name] for name in _SHARED),
        replace(MEASURES["test_entropy"], compute=lambda run: run.end.entropy if run.outputs_policy else None),
        Measure(
            "mean_regret",
            "regret %",
            100,
            "mean over all training episodes of (best reward of any action - reward of the action taken)",
            lambda run: run.end.regret / run.end.env_steps,
            better="lower",
        ),
        Measure(
            "env_steps",
            "images, k",
            1e-3,
            "images acted on, in all tasks",
            lambda run: run.end.env_steps,
            better="lower",
        ),
        Measure(
            "gradient_steps",
            "gradient steps, k",
            1e-3,
            "steps of the optimizer in all tasks",
            lambda run: run.end.gradient_steps,
            better="lower",
        ),
        Measure(
            "training_seconds",
            "seconds",
            1,
            "wall time of learning, without tests",
            lambda run: round(run.end.seconds, 2),
            better="lower",
        ),
    )
)
"""Measures of an algorithm's run, in the order of `metrics.json`."""

ALGORITHM_COLUMNS = find_measures(
    ("final_accuracy", "average_accuracy", "forgetting", "mean_regret", "test_entropy", "training_seconds"),
    ALGORITHM_MEASURES,
)
"""Columns of the comparison's table by default."""


def measure_algorithm(run: FinishedAlgorithm) -> dict[str, Any]:
    """The metrics of a finished run, by name."""
    return {name: measure.compute(run) for name, measure in ALGORITHM_MEASURES.items()}

"""What the predictions of a run say: accuracy of each class, confusions, and the most confident errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.report_page.collect import Run
from experiments.report_page.compact import compact

Answers = Mapping[str, NDArray[Any]]
"""Predictions of a moment, as `RunFolder.read_predictions` returns them."""


class WrongAnswer(NamedTuple):
    """A wrong prediction on a test image.

    Attributes:
        task: Index of the image's task.
        position: Position of the image among the test images of the task.
        label: The true label.
        chosen: The predicted label.
        confidence: Probability of the predicted label, in [0, 1].
    """

    task: int
    position: int
    label: int
    chosen: int
    confidence: float


def complete(answers: Answers) -> Answers:
    """The predictions, if they have all that the page shows, for each test image.

    Raises:
        ValueError: An array is missing, or shorter than another.
    """
    needed = ("task", "labels", "predictions", "confidence")
    if missing := [name for name in needed if name not in answers]:
        raise ValueError(f"the predictions after the last task have no {missing[0]}")
    if len({answers[name].shape for name in needed}) > 1 or answers["task"].ndim != 1:
        raise ValueError("the predictions after the last task have arrays of different lengths")
    if any(answers[name].dtype.kind not in "iu" for name in needed[:3]) or answers["confidence"].dtype.kind != "f":
        raise ValueError("the predictions after the last task are not numbers")
    return answers


def class_accuracies(tests: Sequence[tuple[Run, Answers]]) -> list[list[Any]]:
    """Name, mean accuracy over runs in percent, low and high over runs, and test images of a run, for each class.

    Args:
        tests: Runs of one row with their predictions after the last task. Classes are matched by name, since runs of
            different seeds learn them in different orders.
    """
    found: dict[str, list[float]] = defaultdict(list)
    images: dict[str, int] = {}
    for run, answers in tests:
        for label, name in enumerate(run.class_names):
            here = answers["labels"] == label
            if here.any():
                found[name].append(100 * float((answers["predictions"][here] == label).mean()))
                images.setdefault(name, int(here.sum()))
    return [
        [name, *compact([sum(values) / len(values), min(values), max(values)]), images[name]]
        for name, values in found.items()
    ]


def confusions(answers: Answers) -> list[list[int]]:
    """True label, predicted label and number of images, for each pair that occurs."""
    pairs = np.stack([answers["labels"], answers["predictions"]], axis=1).astype(int)
    kinds, counts = np.unique(pairs, axis=0, return_counts=True)
    return [[int(label), int(chosen), int(count)] for (label, chosen), count in zip(kinds, counts, strict=True)]


def worst_errors(answers: Answers, count: int) -> list[WrongAnswer]:
    """The wrong predictions with the highest confidence, the most confident first; of equal ones the first image."""
    wrong = np.flatnonzero(answers["predictions"] != answers["labels"])
    worst = wrong[np.argsort(-answers["confidence"][wrong], kind="stable")][:count]
    return [
        WrongAnswer(
            task := int(answers["task"][row]),
            int(np.count_nonzero(answers["task"][:row] == task)),
            int(answers["labels"][row]),
            int(answers["predictions"][row]),
            float(answers["confidence"][row]),
        )
        for row in worst
    ]


def task_boundaries(run: Run) -> list[int]:
    """The labels with which a task begins, without the first; none where tasks share classes."""
    sizes = [len(task["classes"]) for task in run.card["stream"]["tasks"]]
    return [] if sum(sizes) != len(run.class_names) else np.cumsum(sizes)[:-1].tolist()

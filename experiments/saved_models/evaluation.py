"""Test a saved agent on labeled images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.algorithms.one_step import OneStepAlgorithm
from experiments.runs.metrics import expected_calibration_error, negative_log_likelihood
from experiments.saved_models.answers import batches
from experiments.saved_models.image_sources import Picture, decoded_images
from experiments.saved_models.labeled_images import LabeledImages

Counts = NDArray[np.int64]


class ClassResult(NamedTuple):
    """A class, its number of images, how many are classified right, and their share."""

    name: str
    images: int
    right: int
    accuracy: float


class Confusion(NamedTuple):
    """Number of images of a class that are classified as another class."""

    true: str
    predicted: str
    images: int


@dataclass(frozen=True)
class Evaluation:
    """The predictions of an agent for N labeled images, over the K classes that it has learned.

    Attributes:
        class_names: Names of the K classes, in the order of the agent's actions.
        labels: Positions of the true classes, shape (N,).
        predictions: Positions of the most probable classes, shape (N,).
        confidence: Probability of the prediction, shape (N,).
        log_likelihood: Logarithm of the probability of the true class, shape (N,).
    """

    class_names: tuple[str, ...]
    labels: Counts
    predictions: Counts
    confidence: NDArray[np.float32]
    log_likelihood: NDArray[np.float32]

    @cached_property
    def confusion(self) -> Counts:
        """Number of images by true class (row) and predicted class (column), shape (K, K)."""
        matrix = np.zeros((len(self.class_names),) * 2, dtype=np.int64)
        np.add.at(matrix, (self.labels, self.predictions), 1)
        return matrix

    @property
    def tested(self) -> Counts:
        """Positions of the classes that have images."""
        return np.unique(self.labels)

    @property
    def untested_names(self) -> list[str]:
        """Names of the classes without images."""
        tested = set(self.tested.tolist())
        return [name for position, name in enumerate(self.class_names) if position not in tested]

    @property
    def per_class(self) -> list[ClassResult]:
        """The result for each class that has images."""
        images, right = self.confusion.sum(axis=1), self.confusion.diagonal()
        return [
            ClassResult(self.class_names[at], int(images[at]), int(right[at]), float(right[at] / images[at]))
            for at in self.tested.tolist()
        ]

    @property
    def confusions(self) -> list[Confusion]:
        """All confusions, the largest first."""
        wrong = self.confusion - np.diag(self.confusion.diagonal())
        pairs = np.argwhere(wrong)
        found = [Confusion(self.class_names[i], self.class_names[j], int(wrong[i, j])) for i, j in pairs.tolist()]
        return sorted(found, key=lambda each: -each.images)

    @property
    def measures(self) -> dict[str, Any]:
        """Accuracy over images, its mean over classes, and calibration as `experiments.runs.metrics` defines it."""
        right = self.labels == self.predictions
        return {
            "images": len(self.labels),
            "classes": len(self.tested),
            "accuracy": float(right.mean()),
            "macro_accuracy": float(np.mean([each.accuracy for each in self.per_class])),
            "ece": expected_calibration_error(self.confidence, right),
            "nll": negative_log_likelihood(self.log_likelihood),
        }


def evaluate_images(agent: OneStepAlgorithm, labeled: LabeledImages, known_only: bool, batch_size: int) -> Evaluation:
    """Classify labeled images batch by batch. Classes are matched by their names.

    Args:
        agent: The agent.
        labeled: The images.
        known_only: Leave out the images of classes that the agent has not learned.
        batch_size: Images that pass the network at once.

    Raises:
        ValueError: The agent has no class names; it has not learned a class, or with `known_only` any; or an image
            can't be decoded and is not to be skipped, or none can.
    """
    if agent.class_names is None:
        raise ValueError("the model has no names of classes, since its environment gave none: nothing to match them by")
    seen = sorted(agent.policy.seen_classes.tolist())
    names = tuple(agent.class_name(action) for action in seen)
    position = _positions(labeled.class_names, names, {row.label for row in labeled.images}, known_only)
    rows = [row for row in labeled.images if row.label in position]
    labeled.report.leave_out("images of classes that the model has not learned", len(labeled.images) - len(rows))
    reader, decoding = labeled.reader, agent.file_decoding
    images = ((row.reference, position[row.label]) for row in rows)
    pictures = decoded_images(reader, images, decoding, labeled.fail, labeled.max_pixels)
    parts = [_evaluate_batch(agent, batch, seen) for batch in batches(pictures, batch_size)]
    if not parts:
        raise ValueError("no image can be decoded")
    return Evaluation(names, *(np.concatenate(entries) for entries in zip(*parts, strict=True)))


def _positions(given: Sequence[str], learned: Sequence[str], labels: Iterable[int], known_only: bool) -> dict[int, int]:
    """The position among the learned classes of each label that is among them.

    Raises:
        ValueError: A class is not learned, or with `known_only` none is.
    """
    at = {name: index for index, name in enumerate(learned)}
    position = {label: at[given[label]] for label in labels if given[label] in at}
    if unknown := [given[label] for label in sorted(set(labels) - set(position))]:
        listed = f"{', '.join(map(repr, unknown[:5]))}{f' and {len(unknown) - 5} more' if len(unknown) > 5 else ''}"
        if not position:
            raise ValueError(f"the model has learned none of {listed}; its classes are {', '.join(learned[:5])} ...")
        if not known_only:
            raise ValueError(
                f"the model has not learned {listed}: `cls-env continue` teaches it new classes, and --known-only "
                "leaves their images out"
            )
    return position


def _evaluate_batch(
    agent: OneStepAlgorithm, batch: Sequence[Picture[int]], seen: Sequence[int]
) -> tuple[NDArray[Any], ...]:
    """Labels, predictions, confidence and log-likelihood of a batch, each of shape (B,)."""
    labels = np.array([picture.about for picture in batch], dtype=np.int64)
    rows = agent.log_probabilities([picture.pixels for picture in batch], len(batch))[:, seen]
    predictions = rows.argmax(axis=1)
    return labels, predictions, np.exp(rows.max(axis=1)), rows[np.arange(len(rows)), labels]

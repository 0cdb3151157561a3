"""A task of a stream, and how it comes by its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cls_env.specification import lookup

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Task:
    """Classes that arrive together, or a domain, and their images.

    Attributes:
        index: Position in the stream, from 0.
        classes: The labels of the task, int64, ascending and contiguous.
        train_indices: Rows of the dataset's training images, int64.
        test_indices: Rows of the dataset's test images, int64.
        validation_indices: Rows of the dataset's training images that are held out of training, int64.
        domain: Name of the task's domain; None where tasks differ in their classes.
    """

    index: int
    classes: Indices
    train_indices: Indices
    test_indices: Indices
    validation_indices: Indices
    domain: str | None = None

    def indices(self, split: str) -> Indices:
        """The rows of one split, `"train"`, `"validation"` or `"test"`."""
        rows = {"train": self.train_indices, "validation": self.validation_indices, "test": self.test_indices}
        return lookup("split", split, rows)


class Candidates(NamedTuple):
    """The images of a split before tasks take theirs.

    Attributes:
        rows: Those of the split, int64, ascending.
        labels: The true label of every image there is, whether in `rows` or not, int64.
        domains: Its domain, int64.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    domains: NDArray[np.int64]

    def of(self, classes: Indices, domain: int) -> Indices:
        """The rows of some classes in a domain."""
        mine = np.isin(self.labels[self.rows], classes) & (self.domains[self.rows] == domain)
        return self.rows[mine]


def make_task(
    index: int,
    classes: Indices,
    domain: int,
    splits: dict[str, Candidates],
    class_names: Sequence[str],
    domain_names: Sequence[str],
) -> Task:
    """Give a task its images.

    Args:
        index: Position in the stream.
        classes: Labels of the task.
        domain: Index of its domain; 0 where tasks differ in their classes.
        splits: The images there are for training, for test and, unless nothing is held out, for validation.
        class_names: Name of each label.
        domain_names: Name of each domain; empty where tasks differ in their classes.

    Raises:
        ValueError: A split has no images for the task.
    """
    own = {split: candidates.of(classes, domain) for split, candidates in splits.items()}
    for split, rows in own.items():
        if len(rows) == 0:
            names = ", ".join(class_names[label] for label in classes[:5])
            task = f"domain {domain_names[domain]!r}" if domain_names else f"task {index} (classes {names})"
            fewer = "leave it out of domains" if domain_names else "use fewer tasks"
            remedy = (
                "raise validation_fraction, or add images to the validation folder"
                if split == "validation"
                else f"{fewer} or add images"
            )
            raise ValueError(f"{task} has no {split} images; {remedy}")
    return Task(
        index,
        classes,
        own["training"],
        own["test"],
        own.get("validation", np.empty(0, dtype=np.int64)),
        domain_names[domain] if domain_names else None,
    )

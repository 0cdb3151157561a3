"""A task of a stream, and the selection of its images."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cls_env.specification import lookup

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class Task:
    """The classes of a task, or its domain, and its images.

    Attributes:
        index: Task id: position in the stream, from 0.
        classes: Labels of the task, int64, ascending and contiguous.
        train_indices: Rows of the dataset's training images, int64.
        test_indices: Rows of the dataset's test images, int64.
        validation_indices: Rows of the dataset's training images that are held out for validation, int64.
        domain: Name of the task's domain, or None if tasks differ in their classes.
    """

    index: int
    classes: Indices
    train_indices: Indices
    test_indices: Indices
    validation_indices: Indices
    domain: str | None = None

    def indices(self, split: str) -> Indices:
        """Rows of a split, `"train"`, `"validation"` or `"test"`."""
        rows = {"train": self.train_indices, "validation": self.validation_indices, "test": self.test_indices}
        return lookup("split", split, rows)

    def __repr__(self) -> str:
        """One line with the classes and the numbers of images."""
        kinds = {"train": self.train_indices, "validation": self.validation_indices, "test": self.test_indices}
        images = ", ".join(f"{len(rows)} {kind}" for kind, rows in kinds.items() if len(rows) or kind != "validation")
        domain = "" if self.domain is None else f"domain {self.domain!r}, "
        return f"Task({self.index}, {domain}{self._shown_classes()}, {images} images)"

    def _shown_classes(self) -> str:
        if len(self.classes) == 1:
            return f"class {self.classes[0]}"
        return f"classes {self.classes[0]} ... {self.classes[-1]}"


class Candidates(NamedTuple):
    """The images of a split, before they are distributed over the tasks.

    Attributes:
        rows: Rows of the split, int64, ascending.
        labels: True labels of all images, including those not in `rows`, int64.
        domains: Domain indices of all images, int64.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    domains: NDArray[np.int64]

    def of(self, classes: Indices, domain: int) -> Indices:
        """Rows of these classes in this domain."""
        selected = np.isin(self.labels[self.rows], classes) & (self.domains[self.rows] == domain)
        return self.rows[selected]


def make_task(
    index: int,
    classes: Indices,
    domain: int,
    splits: dict[str, Candidates],
    class_names: Sequence[str],
    domain_names: Sequence[str],
    absent_classes: Set[str] = frozenset(),
) -> Task:
    """Make a task from its classes and its domain.

    Args:
        index: Task id.
        classes: Labels of the task.
        domain: Index of its domain, or 0 if tasks differ in their classes.
        splits: Images of `"training"`, `"test"` and, if images are held out, `"validation"`.
        class_names: Name of each label.
        domain_names: Name of each domain. Empty if tasks differ in their classes.
        absent_classes: Names of classes without images. A task of such classes alone has none either.

    Raises:
        ValueError: A split has no images of the task.
    """
    own = {split: candidates.of(classes, domain) for split, candidates in splits.items()}
    absent = all(class_names[label] in absent_classes for label in classes)
    for split, rows in own.items():
        if len(rows) == 0 and not absent:
            names = ", ".join(class_names[label] for label in classes[:5])
            task = f"domain {domain_names[domain]!r}" if domain_names else f"task {index} (classes {names})"
            fewer = "remove it from domains" if domain_names else "use fewer tasks"
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

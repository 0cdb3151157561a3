"""A stream of tasks: which classes arrive when, which images belong to them, and which training labels are wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cls_env.datasets import ImageDataset, load_dataset
from cls_env.naming import lookup

Indices = NDArray[np.int64]

# Each source of randomness has a stream of its own, so that changing one leaves the others as they are.
_CLASS_ORDER, _LABEL_NOISE = range(2)


@dataclass(frozen=True, eq=False)
class Task:
    """Classes that arrive together, and their images.

    Attributes:
        index: Position in the stream, from 0.
        classes: The labels of the task, int64, ascending and contiguous.
        train_indices: Rows of the dataset's training images, int64.
        test_indices: Rows of the dataset's test images, int64.
    """

    index: int
    classes: Indices
    train_indices: Indices
    test_indices: Indices

    def indices(self, split: str) -> Indices:
        """The rows of one split, `"train"` or `"test"`."""
        return lookup("split", split, {"train": self.train_indices, "test": self.test_indices})


class TaskStream:
    """A class-incremental stream over an image set.

    Labels count positions in the class order: task 0 holds the labels 0, 1, ..., task 1 the next ones. With
    `num_tasks=1` the stream is joint training.

    Args:
        dataset: The images, or the name of an image set.
        num_tasks: Into how many tasks the classes are split; where they don't divide, the first tasks have one more.
        seed: Fixes class order and label noise, by a random stream each.
        class_order: The original classes in order of arrival; by default drawn from the seed.
        label_noise: Share of each task's training labels that are replaced by another class of the same task, drawn
            uniformly, in [0, 1); exact up to rounding. Test labels are never touched.
        dataset_options: The loader's arguments, where `dataset` is a name.

    Attributes:
        dataset: The `ImageDataset`.
        tasks: Tuple of `Task`.
        class_order: Original class of each label, int64 of shape (K,).
        class_names: Name of each label.
        train_labels: Labels as the learner sees them, int64, a row for each training image.
        clean_train_labels: The same without noise.
        test_labels: int64, a row for each test image.

    Raises:
        ValueError: An argument is unknown, out of range, or does not fit the image set.
    """

    def __init__(
        self,
        dataset: str | ImageDataset = "glyphs",
        num_tasks: int = 5,
        *,
        seed: int = 0,
        class_order: Sequence[int] | None = None,
        label_noise: float = 0.0,
        dataset_options: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(dataset, str):
            dataset = load_dataset(dataset, **(dataset_options or {}))
        elif dataset_options:
            raise ValueError(
                "dataset_options are arguments of a loader: give them with a dataset's name, not with images"
            )
        num_classes = len(dataset.class_names)
        if not 1 <= num_tasks <= num_classes:
            raise ValueError(
                f"{num_tasks} tasks can't be made of {num_classes} classes: num_tasks must be in 1 ... {num_classes}"
            )
        if not 0 <= label_noise < 1:
            raise ValueError(f"label_noise is a share in [0, 1), not {label_noise}")
        self.dataset = dataset
        self.label_noise = label_noise
        self.seed = seed
        self.class_order = self._order(class_order, num_classes)
        self.class_names = tuple(dataset.class_names[original] for original in self.class_order)

        label_of = np.argsort(self.class_order)
        self.clean_train_labels: Indices = label_of[dataset.train_labels]
        self.test_labels: Indices = label_of[dataset.test_labels]
        self.tasks = tuple(
            self._task(index, classes)
            for index, classes in enumerate(np.array_split(np.arange(num_classes), num_tasks))
        )
        self.train_labels = self._noisy_labels()

    @property
    def num_classes(self) -> int:
        """K, the classes of all tasks together."""
        return len(self.class_order)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of class order, tasks, index lists and labels; equal where two people run the same stream."""
        digest = hashlib.sha256()
        for array in (
            self.class_order,
            *(part for task in self.tasks for part in (task.classes, task.train_indices, task.test_indices)),
            self.train_labels,
            self.test_labels,
        ):
            digest.update(np.int64(len(array)).tobytes())
            digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
        return digest.hexdigest()

    def images(self, split: str) -> NDArray[np.uint8]:
        """All images of a split, uint8 of shape (N, H, W, 3)."""
        return lookup("split", split, {"train": self.dataset.train_images, "test": self.dataset.test_images})

    def labels(self, split: str) -> Indices:
        """The learner's labels of a split, int64 of shape (N,)."""
        return lookup("split", split, {"train": self.train_labels, "test": self.test_labels})

    def __deepcopy__(self, memo: dict[int, Any]) -> TaskStream:
        """The stream itself: it is immutable, and Gymnasium deep-copies the arguments of an environment."""
        return self

    def __repr__(self) -> str:
        """A line that tells streams apart."""
        return (
            f"TaskStream({self.dataset.name!r}, {len(self.tasks)} tasks, {self.num_classes} classes, seed={self.seed}, "
            f"label_noise={self.label_noise}, fingerprint={self.fingerprint[:12]})"
        )

    def _order(self, given: Sequence[int] | None, num_classes: int) -> Indices:
        if given is None:
            return np.random.default_rng([self.seed, _CLASS_ORDER]).permutation(num_classes)
        order = np.asarray(given, dtype=np.int64)
        if not np.array_equal(np.sort(order), np.arange(num_classes)):
            raise ValueError(f"class_order must name each of 0 ... {num_classes - 1} once, not {list(given)}")
        return order

    def _task(self, index: int, classes: Indices) -> Task:
        train = np.flatnonzero(np.isin(self.clean_train_labels, classes))
        test = np.flatnonzero(np.isin(self.test_labels, classes))
        for split, rows in (("training", train), ("test", test)):
            if len(rows) == 0:
                names = ", ".join(self.class_names[label] for label in classes[:5])
                raise ValueError(f"task {index} (classes {names}) has no {split} images; use fewer tasks or add images")
        return Task(index, classes, train, test)

    def _noisy_labels(self) -> Indices:
        labels = self.clean_train_labels.copy()
        for task in self.tasks if self.label_noise else ():
            size = len(task.classes)
            if size < 2:
                raise ValueError(f"label_noise flips labels within a task, but task {task.index} has a single class")
            generator = np.random.default_rng([self.seed, _LABEL_NOISE, task.index])
            flipped = generator.permutation(task.train_indices)[: round(self.label_noise * len(task.train_indices))]
            offsets = generator.integers(1, size, size=len(flipped))
            labels[flipped] = task.classes[0] + (labels[flipped] - task.classes[0] + offsets) % size
        return labels

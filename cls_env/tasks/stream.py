"""A stream of tasks over a dataset: their classes, images and labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cls_env.arguments import number, truth_value, whole_number
from cls_env.datasets import ImageDataset, task_count
from cls_env.datasets.image_dataset import Images
from cls_env.datasets.resolve import as_dataset, with_domains
from cls_env.specification import lookup
from cls_env.tasks.class_order import as_sizes, order_classes, order_domains, task_sizes
from cls_env.tasks.label_noise import as_noise, noise_rule
from cls_env.tasks.scenarios import SCENARIOS
from cls_env.tasks.subsets import training_rows
from cls_env.tasks.task import Candidates, Task, make_task

Indices = NDArray[np.int64]

# Each source of randomness has its own generator, so that changing one does not change the others.
_CLASS_ORDER, _LABEL_NOISE, _DOMAIN_ORDER, _VALIDATION, _CAP, _LONG_TAIL, _VALIDATION_NOISE = range(7)


class TaskStream:
    """A stream of tasks over a dataset.

    Labels are positions in the class order: task 0 contains the labels 0, 1, ..., task 1 the next ones. With
    `num_tasks=1` the stream is joint training. In a domain-incremental stream every task is a domain that contains all
    classes.

    The images of a task are selected in this order: validation split, cap of `max_per_class`, long tail, and label
    noise on the remaining training rows (with `noisy_validation` also on the validation rows). Test labels are always
    true.

    Args:
        dataset: A dataset, its name, or arrays: (images, labels), from which a test split is held out by the seed, or
            (train images, train labels, test images, test labels).
        num_tasks: Number of tasks of equal size (if K is not divisible, the first tasks have one class more), or a list
            of the tasks' sizes. Defaults to the usual number for the dataset. A domain-incremental stream has one task
            per domain.
        scenario: A key of `SCENARIOS`: `"class-incremental"`, `"task-incremental"`, `"domain-incremental"` or
            `"online"`.
        init_classes: Alternative to `num_tasks`: classes in the first task. Defaults to `increment`.
        increment: Classes in each later task. The last task may have fewer.
        seed: Seeds all random choices, each with its own generator.
        class_order: List of the original classes, or `"natural"` for 0 ... K - 1. Random by default.
        domains: For a domain-incremental stream, in order. If the dataset has domains: the domains to use, by default
            all in random order. If it has none: the shifts from which `shift_domains` makes domains.
        validation_fraction: Fraction of each class's training images to hold out in each task, in [0, 1), rounded, but
            never a whole class. A dataset with its own validation split uses that split.
        max_per_class: Maximum number of training images per class and task, chosen at random.
        imbalance_factor: At least 1. If greater, training images have a long tail: original class k of K keeps about
            n_max * imbalance_factor**(-k / (K - 1)) images, where n_max is the size of the largest class (of the
            domain). Source: Cui et al., CVPR 2019 (https://arxiv.org/abs/1901.05555).
        label_noise: Fraction of each task's training labels that are replaced by another class of the same task, in
            [0, 1), exact up to rounding. Or a transition matrix of shape (K, K): entry [i, j] is the fraction of
            original class i's training images that are labeled j. Source of the matrix: Patrini et al., CVPR 2017
            (https://arxiv.org/abs/1609.03683).
        noise_type: Which class replaces the true one if `label_noise` is a number: `"symmetric"` for any other class of
            the task, uniformly at random, or `"pair-flip"` for the next class of the task. Source: Han et al.,
            NeurIPS 2018 (https://arxiv.org/abs/1804.06872).
        noisy_validation: Whether the validation labels have the same noise, as they do for a user who holds out some
            of the training images. By default they are true.
        dataset_options: Arguments of the loader if `dataset` is a name.

    Attributes:
        dataset: The `ImageDataset`.
        scenario: The `Scenario`.
        tasks: Tuple of `Task`.
        class_order: Original class of each label, int64 of shape (K,).
        class_names: Name of each label.
        train_labels: Labels of all training images, including those held out, with label noise, int64.
        clean_train_labels: The same without noise.
        test_labels: Labels of all test images, int64.

    Raises:
        ValueError: An argument is unknown, out of range, or does not fit the dataset.
    """

    def __init__(
        self,
        dataset: str | ImageDataset | tuple[ArrayLike, ...] = "glyphs",
        num_tasks: int | Sequence[int] | None = None,
        *,
        scenario: str = "class-incremental",
        init_classes: int | None = None,
        increment: int | None = None,
        seed: int = 0,
        class_order: str | Sequence[int] | None = None,
        domains: Sequence[str] | None = None,
        validation_fraction: float = 0.0,
        max_per_class: int | None = None,
        imbalance_factor: float = 1.0,
        label_noise: float | ArrayLike = 0.0,
        noise_type: str = "symmetric",
        noisy_validation: bool = False,
        dataset_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.scenario = lookup("scenario", scenario, SCENARIOS)
        if domains is not None and not self.scenario.by_domain:
            raise ValueError(f"domains need scenario='domain-incremental', not {scenario!r}")
        self.seed = whole_number("seed", seed, 0)
        self.validation_fraction = number("validation_fraction", validation_fraction)
        self.max_per_class = None if max_per_class is None else whole_number("max_per_class", max_per_class)
        self.imbalance_factor = number("imbalance_factor", imbalance_factor)
        self.label_noise = as_noise(label_noise)
        self.noise_type = noise_type
        self.noisy_validation = truth_value("noisy_validation", noisy_validation)
        sizes = as_sizes(num_tasks, init_classes, increment)
        self.dataset = as_dataset(dataset, dataset_options, self.seed)
        self._shifted = self.scenario.by_domain and not self.dataset.domain_names
        num_classes, num_pictures = len(self.dataset.class_names), len(self.dataset.train_labels)
        if self.scenario.by_domain:
            self.dataset = with_domains(self.dataset, domains, self.seed)
            domain_order = order_domains(domains, self.dataset.domain_names, self._generator(_DOMAIN_ORDER))
            _check_domain_count(len(domain_order), *sizes)
            contents = [(np.arange(num_classes), int(domain)) for domain in domain_order]
        else:
            if sizes == (None, None, None):
                sizes = task_count(dataset if isinstance(dataset, str) else self.dataset.name, num_classes), None, None
            ends = np.cumsum(task_sizes(num_classes, *sizes))
            contents = [(classes, 0) for classes in np.split(np.arange(num_classes), ends[:-1])]
        self.class_order = order_classes(class_order, num_classes, self._generator(_CLASS_ORDER))
        self.class_names = tuple(self.dataset.class_names[original] for original in self.class_order)
        label_of = np.argsort(self.class_order)
        self.clean_train_labels: Indices = label_of[self.dataset.train_labels]
        self.test_labels: Indices = label_of[self.dataset.test_labels]
        self.tasks = tuple(self._make_tasks(contents, num_pictures))
        self.train_labels = self._noisy_labels()

    @property
    def num_classes(self) -> int:
        """K, the number of classes in all tasks."""
        return len(self.class_order)

    @property
    def has_validation(self) -> bool:
        """Whether images are held out for validation, by `validation_fraction` or by the dataset itself."""
        return self.validation_fraction > 0 or self.dataset.validation_rows is not None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of class order, tasks, index lists and labels. Equal streams have equal fingerprints."""
        arrays = [
            self.class_order,
            *(part for task in self.tasks for part in (task.classes, task.train_indices, task.test_indices)),
            self.train_labels,
            self.test_labels,
        ]
        # Optional parts are hashed only if they are used, so that fingerprints of published results stay valid.
        if self.has_validation:
            arrays += [task.validation_indices for task in self.tasks]
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(np.int64(len(array)).tobytes())
            digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
        if self.scenario.name != "class-incremental":
            shift_seed = self.seed if self._shifted else None
            words = [self.scenario.name, *(task.domain for task in self.tasks), shift_seed]
            digest.update(json.dumps(words).encode())
        return digest.hexdigest()

    def images(self, split: str) -> Images:
        """All images of a split, uint8 of shape (N, H, W, 3). Validation images are rows of the training images."""
        train = self.dataset.train_images
        return lookup("split", split, {"train": train, "validation": train, "test": self.dataset.test_images})

    def labels(self, split: str) -> Indices:
        """The labels of a split, with label noise if it has any, int64 of shape (N,)."""
        held_out = self.train_labels if self.noisy_validation else self.clean_train_labels
        known = {"train": self.train_labels, "validation": held_out, "test": self.test_labels}
        return lookup("split", split, known)

    def describe(self) -> dict[str, Any]:
        """The arguments of the stream, and the classes, domain and image counts of each task, for JSON."""
        share, natural = isinstance(self.label_noise, float), np.arange(self.num_classes)
        wrong = self.train_labels != self.clean_train_labels
        return {
            "dataset": self.dataset.name,
            "image_size": list(self.dataset.train_images.shape[1:3]),
            "scenario": self.scenario.name,
            "seed": self.seed,
            "class_order": "natural" if np.array_equal(self.class_order, natural) else self.class_order.tolist(),
            "num_classes": self.num_classes,
            "label_noise": {
                "type": self.noise_type if share else "transition",
                "share": self.label_noise if share else "matrix",
            },
            "validation_fraction": self.validation_fraction,
            **({"noisy_validation": True} if self.noisy_validation and self.has_validation else {}),
            "max_per_class": self.max_per_class,
            "imbalance_factor": self.imbalance_factor,
            "left_out": dict(self.dataset.left_out),
            "remarks": dict(self.dataset.remarks),
            "tasks": [
                {
                    "task": task.index,
                    "classes": [self.class_names[label] for label in task.classes],
                    "domain": task.domain,
                    "train_images": len(task.train_indices),
                    "validation_images": len(task.validation_indices),
                    "test_images": len(task.test_indices),
                    "flipped_labels": int(wrong[task.train_indices].sum()),
                }
                for task in self.tasks
            ],
            "fingerprint": self.fingerprint,
        }

    def __deepcopy__(self, memo: dict[int, Any]) -> TaskStream:
        """Return the stream itself: it is immutable, and Gymnasium deep-copies the arguments of an environment."""
        return self

    def __repr__(self) -> str:
        """One line that identifies the stream."""
        noise = self.label_noise if isinstance(self.label_noise, float) else "matrix"
        return (
            f"TaskStream({self.dataset.name!r}, {self.scenario.name}, {len(self.tasks)} tasks, "
            f"{self.num_classes} classes, seed={self.seed}, label_noise={noise}, fingerprint={self.fingerprint[:12]})"
        )

    def _generator(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *stream])

    def _make_tasks(self, contents: Sequence[tuple[Indices, int]], num_pictures: int) -> Iterator[Task]:
        """Make a task of each (classes, domain). If tasks differ in their classes, all images have domain 0."""
        names = self.dataset.domain_names if self.scenario.by_domain else ()
        train_domains, test_domains = self.dataset.train_domains, self.dataset.test_domains
        if not names or train_domains is None or test_domains is None:
            train_domains, test_domains = np.zeros_like(self.clean_train_labels), np.zeros_like(self.test_labels)
        train, validation = training_rows(
            train_domains.astype(np.int64) * self.num_classes + self.class_order[self.clean_train_labels],
            (max(len(names), 1), self.num_classes),
            num_pictures,
            self.validation_fraction,
            self.max_per_class,
            self.imbalance_factor,
            (self._generator(_VALIDATION), self._generator(_CAP), self._generator(_LONG_TAIL)),
            self.dataset.validation_rows,
        )
        splits = {
            "training": Candidates(train, self.clean_train_labels, train_domains),
            "test": Candidates(np.arange(len(self.test_labels)), self.test_labels, test_domains),
        }
        if self.has_validation:
            splits["validation"] = Candidates(validation, self.clean_train_labels, train_domains)
        for index, (classes, domain) in enumerate(contents):
            yield make_task(index, classes, domain, splits, self.class_names, names, self.dataset.absent_classes)

    def _noisy_labels(self) -> Indices:
        rule = noise_rule(self.label_noise, self.noise_type, self.class_order, self.class_names)
        labels = self.clean_train_labels.copy()
        for task in self.tasks:
            rows = task.train_indices
            labels[rows] = rule(labels[rows], task.classes, self._generator(_LABEL_NOISE, task.index))
            if self.noisy_validation:
                rows = task.validation_indices
                labels[rows] = rule(labels[rows], task.classes, self._generator(_VALIDATION_NOISE, task.index))
        return labels


def _check_domain_count(
    num_domains: int, num_tasks: int | Sequence[int] | None, init_classes: int | None, increment: int | None
) -> None:
    if init_classes is not None or increment is not None:
        raise ValueError("in a domain-incremental stream every task has all classes: remove init_classes and increment")
    if num_tasks not in (None, num_domains):
        raise ValueError(
            f"a domain-incremental stream has one task for each of its {num_domains} domains: "
            f"remove num_tasks={num_tasks}, or choose other domains"
        )

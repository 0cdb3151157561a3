"""The stream of a configuration, and the number of images that each task is trained on."""

from __future__ import annotations

import io
import json
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from cls_env import DATASETS, ImageDataset, TaskStream
from experiments.config.settings import parse_options
from experiments.config.validation import CheckedRun

MOST_MATRIX_LETTERS = 2**26
"""A noise matrix of 1,000 classes takes up to 25 million characters."""


def make_stream(run: CheckedRun, dataset: ImageDataset | None = None) -> TaskStream:
    """The stream of a configuration. Decodes the images if that was not done before.

    Args:
        run: The checked configuration.
        dataset: Images to use instead of those that the configuration names.

    Raises:
        ValueError: The images or the tasks do not fit the settings.
        FileNotFoundError: The images are not there.
    """
    config = run.config
    return TaskStream(
        dataset or config.dataset,
        list(config.num_tasks) if isinstance(config.num_tasks, tuple) else config.num_tasks,
        scenario=config.scenario,
        init_classes=config.init_classes,
        increment=config.increment,
        seed=config.seeds.stream,
        class_order=config.class_order,
        domains=config.domains or None,
        validation_fraction=config.validation_fraction,
        max_per_class=config.max_per_class,
        imbalance_factor=config.imbalance_factor,
        label_noise=config.label_noise if config.noise_matrix is None else _read_matrix(Path(config.noise_matrix)),
        noise_type=config.noise_type,
        noisy_validation=True,
        dataset_options=loader_options(run) if dataset is None else None,
    )


def loader_options(run: CheckedRun) -> dict[str, Any]:
    """The arguments of the dataset's loader that the configuration sets.

    Raises:
        ValueError: An argument is given twice or is not of the form name=value.
    """
    config, card = run.config, DATASETS[run.config.dataset]
    options = parse_options(config.options)
    for name in ("root", "image_size", "interpolation"):
        if getattr(config, name) is not None and name in options:
            raise ValueError(f"{name} is given twice: as --{name.replace('_', '-')} and among --options")
    options |= {name: value for name in ("root", "image_size") if (value := getattr(config, name)) is not None}
    taken = signature(card.load_function()).parameters
    if "image_size" not in options and "image_size" in taken:
        options["image_size"] = stored_size(run)
    if "interpolation" not in options and "interpolation" in taken:
        options["interpolation"] = run.view.interpolation
    if "margin" in taken:
        options.setdefault("margin", 0)  # the model sees the whole image of a character, at its own size
    if card.generated:
        options.setdefault("seed", config.seeds.images)
    return options


def loader_arguments(run: CheckedRun) -> dict[str, Any]:
    """All arguments of the dataset's loader, including defaults, as JSON represents them."""
    bound = signature(DATASETS[run.config.dataset].load_function()).bind(**loader_options(run))
    bound.apply_defaults()
    content: dict[str, Any] = json.loads(json.dumps(bound.arguments, default=str))
    return content


def stored_size(run: CheckedRun) -> int:
    """Side in pixels at which images are stored: as configured, else the side from which the test view is cropped.

    Photographs are not enlarged beyond the size in which they are published.
    """
    config, card = run.config, DATASETS[run.config.dataset]
    if config.image_size is not None:
        return config.image_size
    wanted = int(run.view.size / run.view.crop_fraction)
    if not card.augment or card.image_size is None:
        return wanted
    return min(wanted, card.image_size)


def images_per_task(run: CheckedRun, stream: TaskStream) -> tuple[int, ...]:
    """Images on which each task is trained: the images of all its epochs, rounded up to whole batches.

    An online stream rounds down, since it shows each image once. A method may train on images of other tasks too. A
    method without gradients uses each image at most once.

    Raises:
        ValueError: A task of an online stream has fewer images than a batch.
    """
    return tuple(_task_images(run, stream, task.index) for task in stream.tasks)


def _task_images(run: CheckedRun, stream: TaskStream, task: int) -> int:
    config, method = run.config, run.method
    count = sum(len(stream.tasks[visited].train_indices) for visited in method.training_tasks(task))
    if not method.learns_by_gradient and not method.needs_task_data:
        return 0
    images = config.epochs * count
    if not method.learns_by_gradient and not stream.scenario.one_pass:
        return count
    if not stream.scenario.one_pass:
        return -(-images // config.batch_size) * config.batch_size
    if images < config.batch_size:
        raise ValueError(
            f"task {task} has {images} images, less than a batch of {config.batch_size}; online none repeats"
        )
    return images // config.batch_size * config.batch_size if method.learns_by_gradient else images


def _read_matrix(file: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        with file.open(encoding="utf-8-sig") as stream:
            text = stream.read(MOST_MATRIX_LETTERS + 1)
        if len(text) > MOST_MATRIX_LETTERS:
            raise ValueError(f"it has more than {MOST_MATRIX_LETTERS:,} characters")
        return np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise ValueError(f"--noise-matrix {file} can't be read as K lines of K numbers with commas: {error}") from error

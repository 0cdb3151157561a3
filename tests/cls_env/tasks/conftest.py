"""Hand-made datasets and streams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cls_env import ImageDataset, Task, TaskStream

SEEDS = range(3)


CLASS_SCENARIOS = ("class-incremental", "task-incremental", "online")


SKETCHES = ("photo", "clipart", "sketch", "painting")


EVERYTHING = {"validation_fraction": 0.2, "max_per_class": 7, "imbalance_factor": 3.0, "label_noise": 0.25}


def hand_made(
    sizes: Sequence[int] = (10, 10, 10, 10), test_size: int = 3, domains: Sequence[str] = (), seed: int = 0
) -> ImageDataset:
    """Black images, `sizes` of each class for training (in each domain), in a mixed order."""
    random = np.random.default_rng(seed)
    count = max(len(domains), 1)
    cells = random.permutation(np.repeat(np.arange(count * len(sizes)), list(sizes) * count))
    test_cells = np.repeat(np.arange(count * len(sizes)), test_size)
    return ImageDataset(
        "hand-made",
        np.zeros((len(cells), 4, 4, 3), dtype=np.uint8),
        cells % len(sizes),
        np.zeros((len(test_cells), 4, 4, 3), dtype=np.uint8),
        test_cells % len(sizes),
        tuple("abcdefghij"[: len(sizes)]),
        *((cells // len(sizes), test_cells // len(sizes), tuple(domains)) if domains else ()),
    )


def domain_stream(dataset: ImageDataset | None = None, **options: object) -> TaskStream:
    return TaskStream(dataset or hand_made(domains=SKETCHES), scenario="domain-incremental", **options)


def domains_of(tasks: Sequence[Task]) -> list[str | None]:
    return [task.domain for task in tasks]


def sizes_of(stream: TaskStream) -> list[int]:
    return [len(task.classes) for task in stream.tasks]

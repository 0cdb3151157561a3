"""Datasets by name. A loader is imported on first use, so that `import cls_env` stays light."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

import numpy as np

from cls_env.arguments import as_plain, word
from cls_env.datasets.cards import BENCHMARKS, DatasetCard, Loader
from cls_env.datasets.extended_classes import extend_classes
from cls_env.datasets.image_dataset import ImageDataset
from cls_env.datasets.splits import from_arrays
from cls_env.registry import Registry
from cls_env.specification import check_arguments

__all__ = [
    "DATASETS",
    "DatasetCard",
    "ImageDataset",
    "extend_classes",
    "from_arrays",
    "load_dataset",
    "register_dataset",
    "task_count",
]

DATASETS: Registry[DatasetCard] = Registry("dataset", {card.name: card for card in BENCHMARKS})
"""Cards of all datasets by name."""
DEFAULT_TASKS = 5
_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def register_dataset(name: str, loader: str | Loader, **about: Any) -> DatasetCard:
    """Give your dataset a name, by which `load_dataset` and the environments' argument `dataset` find it.

    Registering a name of your own again replaces the earlier dataset, as on running a notebook's cell twice.

    Args:
        name: Not one of the package's own.
        loader: A function that returns an `ImageDataset`, or its import path `"module:function"`.
        **about: Further attributes of `DatasetCard`, but for `env_id`.

    Returns:
        The card, now in `DATASETS`.

    Raises:
        ValueError: The name is one of the package's own, or the loader or an attribute is wrong.

    >>> import numpy as np
    >>> images, labels = np.zeros((10, 8, 8, 3), dtype=np.uint8), np.arange(10) % 2
    >>> card = register_dataset("blank", lambda: from_arrays(images, labels, name="blank"), task_counts=(2,))
    >>> load_dataset("blank")
    ImageDataset('blank', 2 classes, 8 train and 2 test images of 8 x 8)
    """
    if word("the name of a dataset", name) in {card.name for card in BENCHMARKS}:
        raise ValueError(f"the name {name!r} is taken by {DATASETS[name].title}; choose another")
    if not callable(loader) and not (isinstance(loader, str) and ":" in loader):
        raise ValueError(f"a loader must be a function, or its import path 'module:function', not {loader!r}")
    check_arguments("a dataset's card", DatasetCard, about, ("name", "loader", "env_id"))
    DATASETS[name] = DatasetCard(name=name, loader=loader, **about)
    return DATASETS[name]


def load_dataset(name: str, /, **options: Any) -> ImageDataset:
    """Load a dataset.

    Args:
        name: A key of `DATASETS`.
        **options: The loader's own arguments, such as `root` of `folder` or `seed` of `glyphs`.

    Raises:
        ValueError: The name is unknown (the nearest known is given), or the loader refuses its arguments.
        FileNotFoundError: Its files are missing; the message says which, where they were searched, and how to get them.
    """
    loader = DATASETS.lookup(name).load_function()
    # NumPy's numbers only: a user's loader may want arrays.
    given = {key: as_plain(value) if np.ndim(value) == 0 else value for key, value in options.items()}
    check_arguments(f"dataset {name!r}", loader, given, ())
    parameters = signature(loader).parameters.values()
    needed = [each.name for each in parameters if each.default is each.empty and each.kind in _NAMED]
    if missing := [argument for argument in needed if argument not in given]:
        arguments = ", ".join(f"{argument}=..." for argument in missing)
        raise ValueError(
            f"dataset {name!r} needs {' and '.join(missing)}: load_dataset({name!r}, {arguments}), or "
            f"dataset_options=dict({arguments}) of a stream or an environment"
        )
    dataset = loader(**given)
    if not isinstance(dataset, ImageDataset):
        raise ValueError(f"the loader of dataset {name!r} must return an ImageDataset, not a {type(dataset).__name__}")
    return dataset


def task_count(name: str, num_classes: int) -> int:
    """The usual number of tasks of a dataset: the first of its card, or 5 without a card, but at most `num_classes`."""
    return min(DATASETS[name].task_counts[0] if name in DATASETS else DEFAULT_TASKS, num_classes)

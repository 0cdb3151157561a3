"""Image sets by name. A loader is imported when its set is asked for, so that `import cls_env` stays light."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import Any

from cls_env.datasets.image_dataset import ImageDataset
from cls_env.naming import lookup

__all__ = ["DATASETS", "ImageDataset", "load_dataset"]

DATASETS: dict[str, str] = {
    "glyphs": "cls_env.datasets.glyphs:load_glyphs",
    "folder": "cls_env.datasets.folder:load_folder",
}


def load_dataset(name: str, **options: Any) -> ImageDataset:
    """Load an image set.

    Args:
        name: A key of `DATASETS`.
        **options: The loader's own arguments, such as `root` of `folder` or `seed` of `glyphs`.

    Raises:
        ValueError: The name is unknown (the nearest known is given), or the loader refuses its arguments.
    """
    module, function = lookup("dataset", name, DATASETS).split(":")
    loader = getattr(import_module(module), function)
    try:
        signature(loader).bind(**options)
    except TypeError as error:
        raise ValueError(f"dataset {name!r}: {error}; its arguments are {signature(loader)}") from error
    dataset: ImageDataset = loader(**options)
    return dataset

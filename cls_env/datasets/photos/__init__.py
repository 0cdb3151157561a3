"""Photos, an embedded dataset that needs no download: small photographs of 99 kinds of objects, from Caltech-101."""

from __future__ import annotations

from functools import lru_cache

from cls_env.arguments import whole_number
from cls_env.datasets.image_dataset import ImageDataset
from cls_env.datasets.photos.archive import PER_CLASS, PHOTOS, class_names, read_photos

__all__ = ["load_photos"]


@lru_cache(maxsize=4)
def load_photos(
    num_classes: int | None = None,
    train_per_class: int = PER_CLASS["train"],
    test_per_class: int = PER_CLASS["test"],
) -> ImageDataset:
    """Load photographs of 96 x 96 pixels: the central squares of images of Caltech-101.

    The classes are those of Caltech-101 without its two classes of human faces and its class of backgrounds. The split
    and the order of the images in a class are fixed. `cls_env/datasets/photos/LICENSE.md` has the licence, CC BY 4.0.

    Args:
        num_classes: Number of classes, the first in alphabetical order. By default all 99.
        train_per_class: Training images per class, at most 20.
        test_per_class: Test images per class, at most 10.

    Returns:
        The images, ordered by class.

    Raises:
        ValueError: An argument is out of range.
    """
    names = class_names(PHOTOS)
    names = names[: _count("num_classes", len(names) if num_classes is None else num_classes, len(names))]
    counts = {"train": train_per_class, "test": test_per_class}
    splits = [
        read_photos(PHOTOS, split, names, _count(f"{split}_per_class", counts[split], most))
        for split, most in PER_CLASS.items()
    ]
    return ImageDataset("photos", *splits[0], *splits[1], names)


def _count(name: str, value: int, most: int) -> int:
    if not 1 <= whole_number(name, value, 1) <= most:
        raise ValueError(f"photos: {name} must be in 1 ... {most}, not {value}")
    return int(value)

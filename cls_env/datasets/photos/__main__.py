"""`python -m cls_env.datasets.photos ROOT` makes the file of the photographs from a folder or archive of Caltech-101.

ROOT holds `train/<class>/*.jpg` and `test/<class>/*.jpg`, as `--dataset folder` reads them.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from cls_env.datasets import load_dataset
from cls_env.datasets.photos.archive import PER_CLASS, PHOTOS, SIDE, write_photos

EXCLUDED = ("Faces", "Faces_easy", "BACKGROUND_Google")


def chosen_images(root: str) -> dict[str, dict[str, NDArray[np.uint8]]]:
    """The images that the file contains, by split and class name.

    They are drawn at random, by a generator for each class of the source.

    Args:
        root: Folder or archive.

    Raises:
        ValueError: A class has too few images.
    """
    dataset = load_dataset("folder", root=root, image_size=SIDE)
    splits = {
        "train": (dataset.train_images, dataset.train_labels),
        "test": (dataset.test_images, dataset.test_labels),
    }
    chosen: dict[str, dict[str, NDArray[np.uint8]]] = {split: {} for split in splits}
    for key, (split, (images, labels)) in enumerate(splits.items()):
        for label, name in enumerate(dataset.class_names):
            rows = np.flatnonzero(labels == label)
            if name in EXCLUDED:
                continue
            if len(rows) < PER_CLASS[split]:
                raise ValueError(f"{root}: class {name!r} has {len(rows)} {split} images, less than {PER_CLASS[split]}")
            drawn = np.random.default_rng([label, key]).permutation(rows)[: PER_CLASS[split]]
            chosen[split][name] = images[drawn]
    return chosen


if __name__ == "__main__":
    write_photos(PHOTOS, chosen_images(sys.argv[1]))
    print(f"{PHOTOS}: {PHOTOS.stat().st_size:,} bytes")

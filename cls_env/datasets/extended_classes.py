"""A dataset under the numbering of classes that an agent has learned, with further ones after them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cls_env.arguments import name_list
from cls_env.datasets.image_dataset import ImageDataset


def extend_classes(dataset: ImageDataset, class_names: Sequence[str]) -> ImageDataset:
    """The dataset with other positions of its classes: first the given ones, then its further ones in their order.

    With `class_order="natural"`, an agent that has learned the given classes loads into an environment of the result.

    Args:
        dataset: The images.
        class_names: Distinct names. Those of which the dataset has no image are in the result's `absent_classes`; a
            stream may have tasks of these alone, which can't be shown.

    Raises:
        ValueError: A name is given twice.

    >>> from cls_env import from_arrays
    >>> images = np.zeros((8, 4, 4, 3), dtype=np.uint8)
    >>> may = from_arrays(images, np.arange(8) % 4, class_names=["bee", "cat", "dog", "elk"])
    >>> june = extend_classes(may, ["cat", "ant", "bee"])
    >>> june.class_names, sorted(june.absent_classes), june.train_labels.tolist()
    (('cat', 'ant', 'bee', 'dog', 'elk'), ['ant'], [0, 3, 2, 4])
    """
    first = name_list("class_names", class_names)
    known = set(first)
    names = (*first, *(name for name in dataset.class_names if name not in known))
    place = {name: index for index, name in enumerate(names)}
    label = np.array([place[name] for name in dataset.class_names], dtype=np.int64)
    extended = ImageDataset(
        dataset.name,
        dataset.train_images,
        label[dataset.train_labels],
        dataset.test_images,
        label[dataset.test_labels],
        names,
        train_domains=dataset.train_domains,
        test_domains=dataset.test_domains,
        domain_names=dataset.domain_names,
        validation_rows=dataset.validation_rows,
        absent_classes=(frozenset(first) - set(dataset.class_names)) | dataset.absent_classes,
        left_out=dataset.left_out,
        remarks=dataset.remarks,
        decoding=dataset.decoding,
    )
    if "images_sha256" in vars(dataset):
        object.__setattr__(extended, "images_sha256", dataset.images_sha256)
    return extended

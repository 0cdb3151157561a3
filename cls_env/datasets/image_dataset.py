"""What every loader returns: labelled train and test images in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labelled images, immutable.

    Attributes:
        name: For messages and records.
        train_images: uint8 of shape (N, H, W, 3).
        train_labels: int64 of shape (N,), indices into `class_names`.
        test_images: uint8 of shape (M, H, W, 3), of the same height and width.
        test_labels: int64 of shape (M,).
        class_names: One name for each class.

    Raises:
        ValueError: Shapes, dtypes or labels do not fit together.
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
                raise ValueError(
                    f"{self.name}: {split} images must be uint8 of shape (N, H, W, 3), "
                    f"not {images.dtype} of shape {images.shape}"
                )
            if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
                raise ValueError(
                    f"{self.name}: {split} labels must be {len(images)} integers, one for each image, "
                    f"not {labels.dtype} of shape {labels.shape}"
                )
            if len(labels) and not (labels.min() >= 0 and labels.max() < len(self.class_names)):
                raise ValueError(
                    f"{self.name}: {split} labels span {labels.min()} ... {labels.max()}, "
                    f"but there are {len(self.class_names)} class names"
                )
            for name, array in ((f"{split}_images", images.view()), (f"{split}_labels", labels.view())):
                array.flags.writeable = False  # of the view alone: the caller's own array stays as it is
                object.__setattr__(self, name, array)
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f"{self.name}: train and test images must have one size, "
                f"not {self.train_images.shape[1:]} and {self.test_images.shape[1:]}"
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> ImageDataset:
        """The dataset itself: it is immutable, and Gymnasium deep-copies the arguments of an environment."""
        return self

    def __repr__(self) -> str:
        """A line with the sizes, not the pixels."""
        height, width = self.train_images.shape[1:3]
        return (
            f"ImageDataset({self.name!r}, {len(self.class_names)} classes, {len(self.train_images)} train and "
            f"{len(self.test_images)} test images of {height} x {width})"
        )

"""`ImageDataset`, the labeled training and test images that every loader returns."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cls_env.datasets.files.decoding import Decoding

Indices = NDArray[np.int64]
HASHED_AT_ONCE = 256


class Images(Protocol):
    """Images by row: a NumPy array, a memory-mapped array, or one whose rows are computed on access."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, 3)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, rows: Any, /) -> Any:
        """The images of these rows, as a NumPy array."""


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labeled training and test images. Immutable.

    Attributes:
        name: Name of the dataset, for messages and records.
        train_images: uint8 of shape (N, H, W, 3).
        train_labels: int64 of shape (N,), indices into `class_names`.
        test_images: uint8 of shape (M, H, W, 3), of the same height and width.
        test_labels: int64 of shape (M,).
        class_names: Names of the classes, all distinct.
        train_domains: int64 of shape (N,), indices into `domain_names`. None if the dataset has no domains.
        test_domains: The same for the test images, of shape (M,).
        domain_names: Names of the domains, all distinct.
        validation_rows: Rows of the training images that form the dataset's own validation split, int64, ascending.
            None if it has none.
        left_out: Number of files or folders that loading left out, by kind.
        remarks: Remarks of the loader, for example on transparent images, each with the number of images.
        decoding: How the images were decoded from files. None if they were not.
        absent_classes: Names of the classes of which there is no image, see `extend_classes`.

    Raises:
        ValueError: Shapes, dtypes, labels or names do not fit together.
    """

    name: str
    train_images: Images
    train_labels: Indices
    test_images: Images
    test_labels: Indices
    class_names: tuple[str, ...]
    train_domains: Indices | None = None
    test_domains: Indices | None = None
    domain_names: tuple[str, ...] = ()
    validation_rows: Indices | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    remarks: Mapping[str, int] = field(default_factory=dict)
    decoding: Decoding | None = None
    absent_classes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for kind, names in (("class", self.class_names), ("domain", self.domain_names)):
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                indices = [index for index, name in enumerate(names) if name == twice[0]]
                raise ValueError(
                    f"{self.name}: {kind} name {twice[0]!r} is the name of {kind} {indices}: names must differ"
                )
        for split in ("train", "test"):
            images = getattr(self, f"{split}_images")
            if images.dtype != np.uint8 or len(images.shape) != 4 or images.shape[-1] != 3 or 0 in images.shape[1:]:
                raise ValueError(
                    f"{self.name}: {split} images must be uint8 of shape (N, H, W, 3), "
                    f"not {images.dtype} of shape {images.shape}"
                )
            self._check_indices(split, "labels", "class", self.class_names)
            if self.domain_names:
                self._check_indices(split, "domains", "domain", self.domain_names)
            for part in ("images", "labels", "domains"):
                self._protect(f"{split}_{part}")
        if self.validation_rows is not None:
            rows = self.validation_rows
            if not np.issubdtype(rows.dtype, np.integer) or not np.isin(rows, np.arange(len(self.train_labels))).all():
                raise ValueError(
                    f"{self.name}: validation_rows must be rows of the {len(self.train_labels)} training images"
                )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f"{self.name}: train and test images must have the same size, "
                f"not {self.train_images.shape[1:]} and {self.test_images.shape[1:]}"
            )

    def _check_indices(self, split: str, part: str, kind: str, names: tuple[str, ...]) -> None:
        indices, count = getattr(self, f"{split}_{part}"), len(getattr(self, f"{split}_images"))
        if indices is None or indices.shape != (count,) or not np.issubdtype(indices.dtype, np.integer):
            found = "None" if indices is None else f"{indices.dtype} of shape {indices.shape}"
            raise ValueError(f"{self.name}: {split} {part} must be {count} integers, one for each image, not {found}")
        if count and not (indices.min() >= 0 and indices.max() < len(names)):
            raise ValueError(
                f"{self.name}: {split} {part} span {indices.min()} ... {indices.max()}, "
                f"but there are {len(names)} {kind} names"
            )

    def _protect(self, name: str) -> None:
        array = getattr(self, name)
        if isinstance(array, np.ndarray):
            view = array.view()
            view.flags.writeable = False  # of the view only: the caller's array stays writable
            object.__setattr__(self, name, view)

    @cached_property
    def images_sha256(self) -> str:
        """SHA-256 of the pixels, training images first."""
        digest = hashlib.sha256()
        for images in (self.train_images, self.test_images):
            for first in range(0, len(images), HASHED_AT_ONCE):
                digest.update(np.ascontiguousarray(images[first : first + HASHED_AT_ONCE]).data)
        return digest.hexdigest()

    def __deepcopy__(self, memo: dict[int, Any]) -> ImageDataset:
        """Return the dataset itself: it is immutable, and Gymnasium deep-copies the arguments of an environment."""
        return self

    def __repr__(self) -> str:
        """One line with the name and the sizes."""
        height, width = self.train_images.shape[1:3]
        domains = f"{len(self.domain_names)} domains, " if self.domain_names else ""
        return (
            f"{type(self).__name__}({self.name!r}, {len(self.class_names)} classes, {domains}{len(self.train_images)} "
            f"train and {len(self.test_images)} test images of {height} x {width})"
        )

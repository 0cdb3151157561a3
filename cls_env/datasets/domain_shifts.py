"""Domain shifts of any dataset, such as rotation, blur and noise, computed when an image is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cls_env.datasets.image_dataset import ImageDataset, Images, Indices
from cls_env.datasets.storage.row_reader import RowReader
from cls_env.specification import lookup

Picture = NDArray[np.uint8]
Shift = Callable[[Picture, np.random.Generator], Picture]


def _identity(image: Picture, generator: np.random.Generator) -> Picture:
    return image


def _rotate(turns: int) -> Shift:
    return lambda image, generator: np.rot90(image, turns)


def _gaussian_noise(deviation: float) -> Shift:
    def shift(image: Picture, generator: np.random.Generator) -> Picture:
        noise = generator.normal(scale=255 * deviation, size=image.shape)
        return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)

    return shift


def _gaussian_blur(radius: float) -> Shift:
    """Gaussian blur. The radius is in units of 1/32 of the image's side."""

    def shift(image: Picture, generator: np.random.Generator) -> Picture:
        from PIL import Image, ImageFilter

        return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius * len(image) / 32)))

    return shift


def _enhance(name: str, factor: float) -> Shift:
    def shift(image: Picture, generator: np.random.Generator) -> Picture:
        from PIL import Image, ImageEnhance

        return np.asarray(getattr(ImageEnhance, name)(Image.fromarray(image)).enhance(factor))

    return shift


def _jpeg(quality: int) -> Shift:
    def shift(image: Picture, generator: np.random.Generator) -> Picture:
        from PIL import Image

        written = BytesIO()
        Image.fromarray(image).save(written, "jpeg", quality=quality)
        return np.asarray(Image.open(written))

    return shift


def _severities(name: str, make: Callable[[Any], Shift], strengths: Sequence[Any]) -> dict[str, Shift]:
    return {f"{name}-{severity}": make(strength) for severity, strength in enumerate(strengths, start=1)}


SHIFTS: dict[str, Shift] = {
    "identity": _identity,
    "rotate-90": _rotate(1),
    "rotate-180": _rotate(2),
    "rotate-270": _rotate(3),
    **_severities("gaussian-noise", _gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
    **_severities("gaussian-blur", _gaussian_blur, (0.4, 0.6, 0.8, 1.1, 1.5)),
    **_severities("brightness", lambda factor: _enhance("Brightness", factor), (1.2, 1.4, 1.6, 1.8, 2.0)),
    **_severities("darkness", lambda factor: _enhance("Brightness", factor), (0.8, 0.65, 0.5, 0.35, 0.2)),
    **_severities("contrast", lambda factor: _enhance("Contrast", factor), (0.4, 0.3, 0.2, 0.1, 0.05)),
    "grey": _enhance("Color", 0.0),
    **_severities("jpeg", _jpeg, (25, 18, 15, 10, 7)),
}
"""Shifts by name, some with a severity of 1 to 5. Noise, contrast and JPEG have the strengths of Hendrycks and
Dietterich, "Benchmarking neural network robustness to common corruptions", ICLR 2019 (https://arxiv.org/abs/1903.12261)."""


@dataclass(frozen=True, eq=False)
class ShiftedImages:
    """Every image under each shift, computed on access. Row d N + i is image i under shift d.

    Attributes:
        images: N images.
        shifts: Names of the shifts.
        seed: Seed of the noise, which is the same at each access of a row.
    """

    images: Images
    shifts: tuple[str, ...]
    seed: Sequence[int]

    @cached_property
    def _read(self) -> RowReader:
        return RowReader(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        """(D N, H, W, 3)."""
        return (len(self), *self.images.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8."""
        return self.images.dtype

    def __len__(self) -> int:
        """D N."""
        return len(self.shifts) * len(self.images)

    def __getitem__(self, rows: Any, /) -> Any:
        """The images of an integer, a slice, or an array of integers."""
        chosen = rows if isinstance(rows, np.ndarray) else np.arange(len(self))[rows]
        rows = np.atleast_1d(chosen)
        batch = self._read(rows % len(self.images)).copy()
        for index, row in enumerate(rows.tolist()):
            shift = SHIFTS[self.shifts[row // len(self.images)]]
            batch[index] = shift(batch[index].copy(), np.random.default_rng([*self.seed, row]))
        return batch if np.ndim(chosen) else batch[0]


class ShiftedDataset(ImageDataset):
    """A dataset under several shifts. A pickle of it contains the original dataset and the names of the shifts."""

    recipe: tuple[ImageDataset, tuple[str, ...], int]

    def __reduce__(self) -> tuple[Any, ...]:
        """Let other processes compute the shifts themselves."""
        return shift_domains, self.recipe


def shift_domains(dataset: ImageDataset, shifts: Sequence[str], seed: int) -> ShiftedDataset:
    """Make a dataset that contains every image once per shift. Each shift is a domain.

    Args:
        dataset: A dataset of square images without domains.
        shifts: Keys of `SHIFTS`, all distinct.
        seed: Seed of the noise.

    Raises:
        ValueError: A shift is unknown or occurs twice, there is none, or the dataset has domains already.
    """
    if dataset.domain_names:
        raise ValueError(f"{dataset.name} already has domains: {', '.join(dataset.domain_names[:5])}")
    if not shifts or isinstance(shifts, str):
        raise ValueError(f"domains must be a list of shifts such as ('identity', 'rotate-90'), not {shifts!r}")
    for name in shifts:
        lookup("domain shift", name, SHIFTS)
    if dataset.train_images.shape[1] != dataset.train_images.shape[2]:
        raise ValueError(f"{dataset.name}: domain shifts need square images, not {dataset.train_images.shape[1:3]}")

    def tiled(split: int, images: Images, labels: Indices) -> tuple[ShiftedImages, Indices, Indices]:
        domains = np.repeat(np.arange(len(shifts)), len(labels))
        return ShiftedImages(images, tuple(shifts), (seed, split)), np.tile(labels, len(shifts)), domains

    train, train_labels, train_domains = tiled(0, dataset.train_images, dataset.train_labels)
    test, test_labels, test_domains = tiled(1, dataset.test_images, dataset.test_labels)
    shifted = ShiftedDataset(
        dataset.name,
        train,
        train_labels,
        test,
        test_labels,
        dataset.class_names,
        train_domains,
        test_domains,
        tuple(shifts),
        _in_each_domain(dataset, len(shifts)),
        dataset.left_out,
        dataset.remarks,
        dataset.decoding,
    )
    # The inputs identify the pixels, so that the hash needs no pixels.
    inputs = json.dumps([dataset.images_sha256, list(shifts), int(seed)])
    object.__setattr__(shifted, "recipe", (dataset, tuple(shifts), seed))
    object.__setattr__(shifted, "images_sha256", sha256(inputs.encode()).hexdigest())
    return shifted


def _in_each_domain(dataset: ImageDataset, domains: int) -> Indices | None:
    """Validation rows, repeated for each domain."""
    if dataset.validation_rows is None:
        return None
    offsets = np.arange(domains)[:, None] * len(dataset.train_labels)
    return (offsets + dataset.validation_rows).ravel()

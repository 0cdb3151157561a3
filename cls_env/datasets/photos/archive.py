"""The file of the photographs: a zip of `train/<class>/<number>.webp` and `test/<class>/<number>.webp`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PHOTOS = Path(__file__).parent / "photos.zip"
PER_CLASS = {"train": 20, "test": 10}
"""Number of images of each class, by split."""
SIDE = 96
"""Of an image, in pixels."""
QUALITY = 70
SOME_DATE = (1980, 1, 1, 0, 0, 0)  # equal images make equal files


def write_photos(file: Path, splits: Mapping[str, Mapping[str, NDArray[np.uint8]]]) -> None:
    """Write images. Equal images make equal files.

    Args:
        file: Where to write.
        splits: By split and class name, uint8 of shape (n, 96, 96, 3).
    """
    temporary = file.with_suffix(".tmp")
    with ZipFile(temporary, "w", ZIP_STORED) as archive:
        for split, classes in splits.items():
            for name in sorted(classes):
                for number, image in enumerate(classes[name]):
                    encoded = io.BytesIO()
                    Image.fromarray(image).save(encoded, "WEBP", quality=QUALITY, method=6)
                    archive.writestr(ZipInfo(_path(split, name, number), SOME_DATE), encoded.getvalue())
    temporary.replace(file)


def class_names(file: Path) -> tuple[str, ...]:
    """Names of the classes, in alphabetical order."""
    with ZipFile(file) as archive:
        return tuple(sorted({PurePosixPath(name).parent.name for name in archive.namelist()}))


def read_photos(
    file: Path, split: str, classes: Sequence[str], per_class: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Decode the first images of some classes.

    Args:
        file: A file that `write_photos` wrote.
        split: `"train"` or `"test"`.
        classes: Names of classes.
        per_class: Number of images of each.

    Returns:
        Images, uint8 of shape (N, 96, 96, 3), ordered by class, and labels, int64 of shape (N,), indices into
        `classes`.
    """
    with ZipFile(file) as archive:
        encoded = [archive.read(_path(split, name, number)) for name in classes for number in range(per_class)]
    with ThreadPoolExecutor(max_workers=2) as decoders:
        images = np.stack(list(decoders.map(_decode, encoded)))
    return images, np.arange(len(classes)).repeat(per_class)


def _path(split: str, name: str, number: int) -> str:
    return f"{split}/{name}/{number:02d}.webp"


def _decode(encoded: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGB"))

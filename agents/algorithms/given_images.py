"""Images that a user gives in Python: paths of files, Pillow images, or arrays of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cls_env.datasets.files.decoding import Decoding, Facts, open_image, read_square, upright

GivenImage: TypeAlias = str | PathLike[str] | Image.Image | NDArray[np.uint8]
"""An image file, a Pillow image, or uint8 pixels of shape (H, W) or (H, W, C) with C in 1, 3, 4."""
CHANNELS = (1, 3, 4)


def decode_images(images: Sequence[GivenImage], decoding: Decoding, first: int = 0) -> NDArray[np.uint8]:
    """Decode images of any sizes and modes as a dataset's loader does.

    Args:
        images: N images.
        decoding: How a file becomes pixels.
        first: The number of the first image, for messages.

    Returns:
        uint8 of shape (N, side, side, 3).

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: An image can't be decoded, or is of another kind. The message names its file, or its number.
    """
    reader = _GivenImages(images, first)
    return np.stack([read_square(reader, index, **asdict(decoding)) for index in range(len(images))])


@dataclass(frozen=True)
class _GivenImages:
    """Reads the images of a list by their position."""

    images: Sequence[GivenImage]
    first: int

    def __post_init__(self) -> None:
        for index, image in enumerate(self.images):
            if isinstance(image, (str, PathLike)):
                _check_file(Path(image))
            elif not isinstance(image, Image.Image):
                _check_pixels(np.asarray(image), self.location(index))

    def read(self, reference: int, facts: Facts) -> Image.Image:
        """The image, upright."""
        image = self.images[reference]
        if isinstance(image, (str, PathLike)):
            with open_image(fspath(image)) as opened:
                return upright(opened, facts)
        if isinstance(image, Image.Image):
            return upright(image, facts)
        pixels = np.ascontiguousarray(image)
        return Image.fromarray(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels)

    def location(self, reference: int) -> str:
        """The path of the file, or the number of the image."""
        image = self.images[reference]
        return fspath(image) if isinstance(image, (str, PathLike)) else f"image {self.first + reference}"


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give the image files in it, or type `cls-env predict MODEL {path}`")
    if not path.exists():
        raise FileNotFoundError(f"the image {path} does not exist")


def _check_pixels(pixels: NDArray[Any], location: str) -> None:
    shape = pixels.shape
    if pixels.dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in CHANNELS)) or 0 in shape:
        found = f"{pixels.dtype} of shape {shape}" if pixels.dtype != object else "another object"
        raise ValueError(
            f"{location} must be a path, a Pillow image, or uint8 pixels of shape (H, W), (H, W, 1), (H, W, 3) or "
            f"(H, W, 4), not {found}"
        )

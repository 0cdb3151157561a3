"""Any image file as square RGB pixels."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from cls_env.datasets.trees import ARCHIVE_ERRORS, Tree

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})
Side = tuple[int, int]


def _crop(image: Image.Image, side: Side) -> Image.Image:
    return ImageOps.fit(image, side, Image.Resampling.BICUBIC)


def _squash(image: Image.Image, side: Side) -> Image.Image:
    return image.resize(side, Image.Resampling.BICUBIC)


def _pad(image: Image.Image, side: Side) -> Image.Image:
    scale = side[0] / max(image.size)
    inner = image.resize([max(1, round(length * scale)) for length in image.size], Image.Resampling.BICUBIC)
    square = Image.new("RGB", side)
    square.paste(inner, ((side[0] - inner.width) // 2, (side[1] - inner.height) // 2))
    return square


RESIZE_RULES: dict[str, Callable[[Image.Image, Side], Image.Image]] = {"crop": _crop, "squash": _squash, "pad": _pad}
"""How an image becomes a square: `"crop"` scales the shorter side and keeps the centre, `"squash"` scales both sides,
`"pad"` scales the longer side and fills with black. All bicubic."""


class ImageReader(Protocol):
    """Gives images by reference, in any process."""

    def read(self, reference: Any) -> Image.Image:
        """An image, not necessarily decoded yet."""

    def place(self, reference: Any) -> str:
        """Where the image is, for messages."""


@dataclass(frozen=True)
class TreeReader:
    """Reads image files of a tree by name."""

    tree: Tree

    def read(self, reference: str) -> Image.Image:
        """The image in a file."""
        with closing(self.tree.open(reference)) as stream, Image.open(stream) as image:
            return upright(image)

    def place(self, reference: str) -> str:
        """The path of the file."""
        return f"{self.tree.root}/{reference}"


def upright(image: Image.Image) -> Image.Image:
    """A decoded copy, turned as its EXIF tag says; 16-bit grey that Pillow calls 32-bit is called so again."""
    image.load()
    if image.format == "PPM" and image.mode == "I":
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    return ImageOps.exif_transpose(image)


def read_square(reader: ImageReader, reference: Any, image_size: int, resize: str = "crop") -> NDArray[np.uint8]:
    """One image, upright as its EXIF tag says, as square RGB.

    Palette, grey, CMYK and alpha images are converted as Pillow does; 16-bit grey is scaled to 8 bits.

    Args:
        reader: Which gives the image.
        reference: Its name for the reader.
        image_size: Side in pixels.
        resize: A key of `RESIZE_RULES`.

    Returns:
        uint8 of shape (image_size, image_size, 3).

    Raises:
        ValueError: The file can't be decoded; the message names it.
    """
    try:
        image = reader.read(reference)
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.mode in ("I", "F"):
            raise ValueError("32-bit pixels have no agreed range; save the image with 8 or 16 bits")
        return np.asarray(RESIZE_RULES[resize](image.convert("RGB"), (image_size, image_size)))
    except _DECODING_ERRORS as error:
        place = reader.place(reference)
        raise ValueError(f"{place} can't be decoded as an image ({error}); replace or remove it") from error


_DECODING_ERRORS = (
    *ARCHIVE_ERRORS,
    UnidentifiedImageError,
    SyntaxError,
    ValueError,
    RuntimeError,
    Image.DecompressionBombError,
)

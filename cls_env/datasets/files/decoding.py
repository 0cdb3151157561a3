"""Decoding of image files to square RGB images."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from cls_env.arguments import whole_number
from cls_env.datasets.files.trees import Tree
from cls_env.specification import lookup

_TAKEN = "apng avif bmp dib gif j2k jfif jp2 jpe jpeg jpg jpx mpo pbm pgm png pnm ppm tga tif tiff webp"
_NOT_READ = (
    "3fr ai arw cr2 cr3 cur dcm dds dng emf eps exr hdr heic heif hif icns ico jxl jxr kdc mef mrw nef nrw orf pcx pef "
    "psb psd raf raw rw2 sgi sr2 srw svg svgz wbmp wdp wmf xbm xcf xpm"
)
IMAGE_SUFFIXES = frozenset(f".{suffix}" for suffix in _TAKEN.split())
"""Suffixes of image files. A file with such a suffix in another format is an error."""
OTHER_IMAGE_SUFFIXES = frozenset(f".{suffix}" for suffix in _NOT_READ.split())
"""Suffixes of image formats that are not supported."""
_FORMATS = "AVIF BMP DIB GIF JPEG JPEG2000 MPO PNG PPM TGA TIFF WEBP"
"""Pillow's formats of these. Its others are not needed, and that of PostScript starts another program."""
MOST_PIXELS = 178_956_970
"""Pillow's limit, beyond which it treats a file as a decompression bomb."""
DEPTH = 16
FEW_BITS = 14
"""16-bit images that use at most this many bits are dark. Cameras and scanners use 10, 12 or 14."""
Side = tuple[int, int]
Facts = Counter[str]

TRANSPARENT = "transparent"
FIRST_FRAME = "first frame"
UNREADABLE_METADATA = "unreadable metadata"
BITS = "bits "
"""Facts about decoded images. BITS is followed by the number of used bits of 16."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _crop(image: Image.Image, side: Side, resampling: Image.Resampling) -> Image.Image:
    return ImageOps.fit(image, side, resampling)


def _squash(image: Image.Image, side: Side, resampling: Image.Resampling) -> Image.Image:
    return image.resize(side, resampling)


def _pad(image: Image.Image, side: Side, resampling: Image.Resampling) -> Image.Image:
    scale = side[0] / max(image.size)
    inner = image.resize([max(1, round(length * scale)) for length in image.size], resampling)
    square = Image.new("RGB", side)
    square.paste(inner, ((side[0] - inner.width) // 2, (side[1] - inner.height) // 2))
    return square


RESIZE_RULES: dict[str, Callable[[Image.Image, Side, Image.Resampling], Image.Image]] = {
    "crop": _crop,
    "squash": _squash,
    "pad": _pad,
}
"""Functions that make an image square, see `StoreOptions`."""
INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
"""Pillow's filters, with antialiasing."""


@dataclass(frozen=True)
class Decoding:
    """How an image file becomes an array of pixels: the options on which the pixels depend.

    Attributes:
        image_size: Side of the square images, in pixels.
        resize: How an image becomes a square, a key of `RESIZE_RULES`.
        interpolation: A key of `INTERPOLATIONS`.
        background: Color under transparent pixels, such as `"white"` or `"#202020"`.
        bit_depth: Number of bits used in 16-bit gray images, 8 to 16.

    Raises:
        ValueError: A value is unknown, of the wrong type, or out of range.
    """

    image_size: int
    resize: str = "crop"
    interpolation: str = "bicubic"
    background: str = "white"
    bit_depth: int = DEPTH

    def __post_init__(self) -> None:
        for name, least in (("image_size", 1), ("bit_depth", 8)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        if self.bit_depth > DEPTH:
            raise ValueError(f"bit_depth must be in 8 ... 16, not {self.bit_depth}")
        check_background(self.background)
        lookup("resize rule", self.resize, RESIZE_RULES)
        lookup("interpolation", self.interpolation, INTERPOLATIONS)


class ImageReader(Protocol):
    """Reads images by reference, in any process."""

    def read(self, reference: Any, facts: Facts) -> Image.Image:
        """Return an image, which may not be decoded yet, and count facts about it in `facts`."""

    def location(self, reference: Any) -> str:
        """Location of the image, for messages."""


@dataclass(frozen=True)
class TreeReader:
    """Reads image files of a tree by their names."""

    tree: Tree

    def read(self, reference: str, facts: Facts) -> Image.Image:
        """The image in a file."""
        with closing(self.tree.open(reference)) as stream, open_image(stream) as image:
            return upright(image, facts)

    def location(self, reference: str) -> str:
        """The path of the file."""
        return f"{self.tree.root}/{reference}"


def open_image(source: Any) -> Image.Image:
    """Open an image of one of the formats that `IMAGE_SUFFIXES` are for, whatever its name.

    Args:
        source: A path, or a binary stream.

    Raises:
        PIL.UnidentifiedImageError: It has another format.
        OSError: It can't be read.
    """
    return Image.open(source, formats=_known_formats())


@cache
def _known_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS.split() if name in Image.OPEN)  # older versions of Pillow lack AVIF


def upright(image: Image.Image, facts: Facts) -> Image.Image:
    """A decoded copy of the first frame, rotated as its EXIF tag says.

    16-bit gray images that Pillow opens as 32-bit are converted back. If the EXIF block can't be read, the image is not
    rotated.
    """
    if image.format in ("AVIF", "GIF", "PNG", "TIFF", "WEBP") and getattr(image, "n_frames", 1) > 1:
        facts[FIRST_FRAME] += 1
    if image.format == "EPS":  # of an image that was opened elsewhere; to decode it, Pillow starts Ghostscript
        raise ValueError("PostScript is a program, which is not run; convert it to PNG")
    image.load()
    if image.format == "PPM" and image.mode == "I":
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # as "Corrupt EXIF data"
            orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow's parser raises errors of many kinds
        facts[UNREADABLE_METADATA] = 1
        orientation = 1
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image.copy() if turn is None else image.transpose(turn)


def read_square(
    reader: ImageReader,
    reference: Any,
    image_size: int,
    resize: str = "crop",
    *,
    interpolation: str = "bicubic",
    background: str = "white",
    bit_depth: int = DEPTH,
    max_pixels: int = MOST_PIXELS,
    facts: Facts | None = None,
) -> NDArray[np.uint8]:
    """Read an image as square RGB, rotated as its EXIF tag says.

    Palette, gray and CMYK images are converted by Pillow. 16-bit gray images are scaled to 8 bits.

    Args:
        reader: Reads the image.
        reference: Reference of the image for the reader.
        image_size: This and the arguments up to `max_pixels` are as in `StoreOptions`.
        resize: Defaults to `"crop"`.
        interpolation: Defaults to `"bicubic"`.
        background: Defaults to `"white"`.
        bit_depth: Defaults to 16.
        max_pixels: Defaults to Pillow's limit.
        facts: Counts transparency, multiple frames, used bits, and unreadable metadata.

    Returns:
        uint8 of shape (image_size, image_size, 3).

    Raises:
        ValueError: The file can't be decoded. The message names it.
    """
    found: Facts = Counter()
    try:
        image = _read(reader, reference, max_pixels, found)
        image = _on_background(_eight_bits(image, bit_depth, found), background, found)
        side = (image_size, image_size)
        pixels = np.asarray(RESIZE_RULES[resize](image, side, INTERPOLATIONS[interpolation]))
    except Image.DecompressionBombError as error:
        location = reader.location(reference)
        raise ValueError(f"{location} has more than {max_pixels:,} pixels: raise max_pixels, or remove it") from error
    except Exception as error:  # Pillow's plugins raise errors of many kinds for malformed files
        location, reason = reader.location(reference), _reason(error)
        raise ValueError(f"{location} can't be decoded as an image ({reason}); replace or remove it") from error
    if facts is not None:
        facts.update(found)
    return pixels


def _reason(error: Exception) -> str:
    """Why an image can't be decoded; Pillow's message on an unknown format describes a Python object."""
    return "unknown format" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__


def check_background(background: str) -> str:
    """Return the background if Pillow knows this color.

    Raises:
        ValueError: It is not an opaque color.
    """
    try:
        channels = len(ImageColor.getrgb(background))
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"background must be a color such as 'white' or '#202020', not {background!r}") from error
    if channels != 3:
        raise ValueError(f"background must be an opaque color such as '#202020', not {background!r}")
    return background


def _read(reader: ImageReader, reference: Any, max_pixels: int, facts: Facts) -> Image.Image:
    with _at_most(max_pixels), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # max_pixels is the limit
        image = reader.read(reference, facts)
    if warned:  # about metadata: problems with pixels raise errors
        facts[UNREADABLE_METADATA] = 1
    return image


@contextmanager
def _at_most(max_pixels: int) -> Iterator[None]:
    """Let Pillow open images of up to `max_pixels` pixels."""
    usual = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max_pixels / 2  # type: ignore[assignment]  # Pillow raises an error beyond twice this
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = usual


def _eight_bits(image: Image.Image, bit_depth: int, facts: Facts) -> Image.Image:
    """Convert 16-bit gray images to 8 bits. Other images are unchanged."""
    if image.mode in ("I", "F"):
        raise ValueError("32-bit pixels have no agreed range; save the image with 8 or 16 bits")
    if not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    facts[f"{BITS}{int(values.max()).bit_length()}"] += 1
    gray = (values >> (bit_depth - 8)).clip(max=255).astype(np.uint8)
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return Image.fromarray(gray)
    alpha = np.where(values == transparent, 0, 255).astype(np.uint8)
    return Image.merge("LA", [Image.fromarray(gray), Image.fromarray(alpha)])


def _on_background(image: Image.Image, background: str, facts: Facts) -> Image.Image:
    """Convert to RGB, with transparent pixels on the background."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layers = image.convert("RGBA")
    if layers.getchannel("A").getextrema()[0] == 255:
        return layers.convert("RGB")
    facts[TRANSPARENT] += 1
    ground = Image.new("RGBA", layers.size, background)
    return Image.alpha_composite(ground, layers).convert("RGB")

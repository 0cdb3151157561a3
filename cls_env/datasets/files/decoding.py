"""Any image file as square RGB pixels."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from cls_env.datasets.files.trees import Tree

_TAKEN = "apng avif bmp dib gif j2k jfif jp2 jpe jpeg jpg jpx mpo pbm pgm png pnm ppm tga tif tiff webp"
_NOT_READ = (
    "3fr ai arw cr2 cr3 cur dcm dds dng emf eps exr hdr heic heif hif icns ico jxl jxr kdc mef mrw nef nrw orf pcx pef "
    "psb psd raf raw rw2 sgi sr2 srw svg svgz wbmp wdp wmf xbm xcf xpm"
)
IMAGE_SUFFIXES = frozenset(f".{suffix}" for suffix in _TAKEN.split())
"""What is taken for an image; a file of another format under such a name is an error."""
OTHER_IMAGE_SUFFIXES = frozenset(f".{suffix}" for suffix in _NOT_READ.split())
"""Images too, but of formats that are not read here."""
MOST_PIXELS = 178_956_970
"""Pillow's own limit, beyond which it takes a file for an attack."""
DEPTH = 16
FEW_BITS = 14
"""16-bit images that use no more bits than this come out dark; cameras and scanners give 10, 12 or 14."""
Side = tuple[int, int]
Facts = Counter[str]

TRANSPARENT = "transparent"
FIRST_FRAME = "first frame"
UNREADABLE_METADATA = "unreadable metadata"
BITS = "bits "
"""Facts about decoded images; BITS is followed by how many bits of 16 an image uses."""

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
"""How an image becomes a square: `"crop"` scales the shorter side and keeps the centre, `"squash"` scales both sides,
`"pad"` scales the longer side and fills with black."""
INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
"""Pillow's filters, which antialias."""


class ImageReader(Protocol):
    """Gives images by reference, in any process."""

    def read(self, reference: Any, facts: Facts) -> Image.Image:
        """An image, not necessarily decoded yet; what is remarkable about it is counted in `facts`."""

    def location(self, reference: Any) -> str:
        """Where the image is, for messages."""


@dataclass(frozen=True)
class TreeReader:
    """Reads image files of a tree by name."""

    tree: Tree

    def read(self, reference: str, facts: Facts) -> Image.Image:
        """The image in a file."""
        with closing(self.tree.open(reference)) as stream, Image.open(stream) as image:
            return upright(image, facts)

    def location(self, reference: str) -> str:
        """The path of the file."""
        return f"{self.tree.root}/{reference}"


def upright(image: Image.Image, facts: Facts) -> Image.Image:
    """A decoded copy of the first frame, turned as its EXIF tag says.

    16-bit grey that Pillow calls 32-bit is called so again. Where the EXIF block can't be read, the image is taken as
    it is.
    """
    if image.format in ("AVIF", "GIF", "PNG", "TIFF", "WEBP") and getattr(image, "n_frames", 1) > 1:
        facts[FIRST_FRAME] += 1
    image.load()
    if image.format == "PPM" and image.mode == "I":
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # as "Corrupt EXIF data"
            orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow's parsing runs into errors of any kind
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
    """One image, upright as its EXIF tag says, as square RGB.

    Palette, grey and CMYK images are converted as Pillow does. Transparent ones are laid on a background. 16-bit grey
    is scaled to 8 bits.

    Args:
        reader: Which gives the image.
        reference: Its name for the reader.
        image_size: Side in pixels.
        resize: A key of `RESIZE_RULES`.
        interpolation: A key of `INTERPOLATIONS`.
        background: Colour under transparent pixels, as Pillow's `ImageColor` reads it: `"white"`, `"#202020"`.
        bit_depth: How many bits of 16-bit grey are in use, 8 to 16: with 12, the value 4095 is white.
        max_pixels: Of the image in its file.
        facts: Counts what is remarkable: transparency, further frames, bits in use, metadata that can't be read.

    Returns:
        uint8 of shape (image_size, image_size, 3).

    Raises:
        ValueError: The file can't be decoded; the message names it.
    """
    found: Facts = Counter()
    try:
        with _at_most(max_pixels), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # below max_pixels there is no danger
            image = reader.read(reference, found)
        if warned:  # of metadata; what is wrong with pixels is an error
            found[UNREADABLE_METADATA] = 1
        image = _on_background(_eight_bits(image, bit_depth, found), background, found)
        side = (image_size, image_size)
        pixels = np.asarray(RESIZE_RULES[resize](image, side, INTERPOLATIONS[interpolation]))
    except Image.DecompressionBombError as error:
        location = reader.location(reference)
        raise ValueError(f"{location} has more than {max_pixels:,} pixels: raise max_pixels, or remove it") from error
    except Exception as error:  # Pillow's plugins raise whatever their parsing of a malformed file runs into
        location, reason = reader.location(reference), str(error) or type(error).__name__
        raise ValueError(f"{location} can't be decoded as an image ({reason}); replace or remove it") from error
    if facts is not None:
        facts.update(found)
    return pixels


def check_background(background: str) -> str:
    """A colour that Pillow knows.

    Raises:
        ValueError: It is none.
    """
    try:
        channels = len(ImageColor.getrgb(background))
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"background must be a colour such as 'white' or '#202020', not {background!r}") from error
    if channels != 3:
        raise ValueError(f"background must be an opaque colour such as '#202020', not {background!r}")
    return background


@contextmanager
def _at_most(max_pixels: int) -> Iterator[None]:
    """Let Pillow open images of so many pixels."""
    usual = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max_pixels / 2  # type: ignore[assignment]  # Pillow refuses beyond twice this
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = usual


def _eight_bits(image: Image.Image, bit_depth: int, facts: Facts) -> Image.Image:
    """16-bit grey as 8-bit; other images as they are."""
    if image.mode in ("I", "F"):
        raise ValueError("32-bit pixels have no agreed range; save the image with 8 or 16 bits")
    if not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    facts[f"{BITS}{int(values.max()).bit_length()}"] += 1
    grey = (values >> (bit_depth - 8)).clip(max=255).astype(np.uint8)
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return Image.fromarray(grey)
    alpha = np.where(values == clear, 0, 255).astype(np.uint8)
    return Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])


def _on_background(image: Image.Image, background: str, facts: Facts) -> Image.Image:
    """As RGB; transparent pixels are laid on the background."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layers = image.convert("RGBA")
    if layers.getchannel("A").getextrema()[0] == 255:
        return layers.convert("RGB")
    facts[TRANSPARENT] += 1
    ground = Image.new("RGBA", layers.size, background)
    return Image.alpha_composite(ground, layers).convert("RGB")

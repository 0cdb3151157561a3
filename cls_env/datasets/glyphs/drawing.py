"""Drawing of masks as warped, colored, textured and noisy 32 x 32 RGB images.

The same seed gives the same bytes on every machine. Random numbers come from `PCG64.random_raw`, whose stream NumPy
guarantees, unlike its distributions. Images are computed with elementwise additions, multiplications, divisions and
roundings in float32, which IEEE 754 defines, without matrix products, sums or transcendental functions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cls_env.datasets.glyphs.masks import MASK_SIZE, masks

IMAGE_SIZE = 32
_BATCH = 256  # images drawn at once, with a few MB of intermediate results

_TAN_HALF_ROTATION = 0.1763  # tan(10 degrees): rotations within 20 degrees
_SCALE = (0.8, 1.25)
_ANISOTROPY = 0.15
_SHEAR = 0.2
_SHIFT = 3.5  # mask pixels
_WARP = 2.0  # mask pixels
_SMOOTH_TEXTURE = 45.0  # gray levels
_COARSE_TEXTURE = 26.0
_NOISE = 15.0

Float = NDArray[np.float32]


class RandomStream:
    """Random numbers from PCG64's raw output, identical on every platform and NumPy version."""

    def __init__(self, seed: int | Sequence[int]) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(seed))

    def uniform(self, low: float, high: float, *shape: int) -> Float:
        """Uniform in [low, high), float32, on a grid of 2**24 values."""
        unit = (self._raw(*shape) >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)
        return np.float32(low) + unit * np.float32(high - low)

    def gaussian(self, *shape: int) -> Float:
        """Approximately normal, mean 0 and standard deviation 1: the sum of four 16-bit uniforms, float32."""
        parts = self._raw(*shape).astype("<u8")[..., None].view("<u2").astype(np.int32)
        total = parts[..., 0] + parts[..., 1] + parts[..., 2] + parts[..., 3]
        return (total - 131070).astype(np.float32) / np.float32(37837.0)

    def permutation(self, length: int) -> NDArray[np.int64]:
        """A random permutation of `range(length)`."""
        return np.argsort(self._raw(length), kind="stable").astype(np.int64)

    def choice(self, counts: ArrayLike) -> NDArray[np.int64]:
        """A random index below each of the counts."""
        limits = np.asarray(counts, dtype=np.uint64)
        return (self._raw(*limits.shape) % limits).astype(np.int64)

    def _raw(self, *shape: int) -> NDArray[np.uint64]:
        return np.asarray(self._bits.random_raw(shape), dtype=np.uint64)


class GlyphPainter:
    """Draws images of characters.

    Args:
        characters: The classes. Label i is `characters[i]`.
        seed: Seed of all images.
    """

    def __init__(self, characters: Sequence[str], seed: int | Sequence[int]) -> None:
        variants = [masks(character) for character in characters]
        self._masks = np.stack([variant for group in variants for variant in group]).astype(np.float32) / np.float32(
            255
        )
        self._counts = np.array([len(group) for group in variants])
        self._first = np.cumsum(self._counts) - self._counts
        self._random = RandomStream(seed)

    def paint(self, labels: NDArray[np.int64], strength: ArrayLike = 1.0) -> NDArray[np.uint8]:
        """Draw one image for each label.

        Args:
            labels: Class indices, int64 of shape (N,).
            strength: Factor on warp, texture and noise, a number or of shape (N,). 1 is easy, 3 is nearly unreadable.

        Returns:
            Images, uint8 of shape (N, 32, 32, 3).
        """
        strengths = np.broadcast_to(np.asarray(strength, dtype=np.float32), labels.shape)
        images = np.empty((len(labels), IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
        for start in range(0, len(labels), _BATCH):
            part = slice(start, start + _BATCH)
            images[part] = self._paint_batch(labels[part], strengths[part])
        return images

    def _paint_batch(self, labels: NDArray[np.int64], strength: Float) -> NDArray[np.uint8]:
        variant = self._first[labels] + self._random.choice(self._counts[labels])
        force = strength[:, None, None]
        x, y = self._sampling_positions(len(labels), force)
        ink = _sample_bilinear(self._masks, variant, x, y)[..., None]

        ground, glyph = self._colors(len(labels))
        smooth = _upsample(self._random.uniform(-1, 1, len(labels), 4, 4, 3)) * np.float32(_SMOOTH_TEXTURE)
        coarse = _upsample(self._random.uniform(-1, 1, len(labels), 12, 12, 3)) * np.float32(_COARSE_TEXTURE)
        noise = self._random.gaussian(len(labels), IMAGE_SIZE, IMAGE_SIZE, 3) * np.float32(_NOISE)
        texture = (smooth + coarse) * (np.float32(1) - np.float32(0.6) * ink)  # weaker on the glyph than on the ground
        image = ground + ink * (glyph - ground) + force[..., None] * (texture + noise)
        return np.round(np.clip(image, 0, 255)).astype(np.uint8)

    def _sampling_positions(self, count: int, force: Float) -> tuple[Float, Float]:
        """Position in the mask of each output pixel: rotation, scale, shear, shift, then a smooth warp."""
        random, one = self._random, np.float32(1)
        tangent = random.uniform(-_TAN_HALF_ROTATION, _TAN_HALF_ROTATION, count, 1, 1)
        cosine = (one - tangent * tangent) / (one + tangent * tangent)
        sine = (tangent + tangent) / (one + tangent * tangent)
        scale = random.uniform(*_SCALE, count, 1, 1)
        stretch = random.uniform(1 - _ANISOTROPY, 1 + _ANISOTROPY, count, 1, 1)
        shear = random.uniform(-_SHEAR, _SHEAR, count, 1, 1)
        shift = random.uniform(-_SHIFT, _SHIFT, count, 2, 1, 1)
        warp = _upsample(random.uniform(-1, 1, count, 5, 5, 2)) * np.float32(_WARP) * force[..., None]

        axis = ((np.arange(IMAGE_SIZE, dtype=np.float32) + np.float32(0.5)) / IMAGE_SIZE - np.float32(0.5)) * MASK_SIZE
        column, row = axis[None, None, :] * scale * stretch, axis[None, :, None] * scale
        sheared = column + shear * row
        centre = np.float32((MASK_SIZE - 1) / 2)
        x = cosine * sheared - sine * row + shift[:, 0] + warp[..., 0] + centre
        y = sine * sheared + cosine * row + shift[:, 1] + warp[..., 1] + centre
        return x, y

    def _colors(self, count: int) -> tuple[Float, Float]:
        """A dark ground and a brighter glyph. With both polarities, small models stay at chance."""
        ground = self._random.uniform(0, 110, count, 1, 1, 3)
        lift = self._random.uniform(60, 185, count, 1, 1, 3)
        return ground, np.minimum(ground + lift, np.float32(255))


def _sample_bilinear(masks: Float, index: NDArray[np.int64], x: Float, y: Float) -> Float:
    """Interpolate masks[index] at fractional positions x, y of shape (N, H, W), with 0 outside."""
    padded = np.zeros((len(index), MASK_SIZE + 2, MASK_SIZE + 2), dtype=np.float32)
    padded[:, 1:-1, 1:-1] = masks[index]
    x = np.clip(x + np.float32(1), 0, np.float32(MASK_SIZE + 0.99))
    y = np.clip(y + np.float32(1), 0, np.float32(MASK_SIZE + 0.99))
    left, top = np.floor(x), np.floor(y)
    across, down = x - left, y - top
    stride = MASK_SIZE + 2
    corner = top.astype(np.int64) * stride + left.astype(np.int64)
    corner += (np.arange(len(index)) * stride * stride)[:, None, None]
    flat = padded.ravel()
    upper = flat[corner] + across * (flat[corner + 1] - flat[corner])
    lower = flat[corner + stride] + across * (flat[corner + stride + 1] - flat[corner + stride])
    return upper + down * (lower - upper)


def _upsample(grid: Float) -> Float:
    """Bilinear interpolation (N, h, w, C) -> (N, 32, 32, C), with aligned corners."""
    rows = _interpolate(grid, axis=1)
    return _interpolate(rows, axis=2)


def _interpolate(grid: Float, axis: int) -> Float:
    length = grid.shape[axis]
    position = np.arange(IMAGE_SIZE, dtype=np.float32) * np.float32(length - 1) / np.float32(IMAGE_SIZE - 1)
    before = np.minimum(np.floor(position), length - 2).astype(np.int64)
    weight = (position - before.astype(np.float32)).reshape(-1, *([1] * (grid.ndim - axis - 1)))
    low, high = np.take(grid, before, axis=axis), np.take(grid, before + 1, axis=axis)
    return low + weight * (high - low)

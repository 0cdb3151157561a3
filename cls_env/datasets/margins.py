"""A margin around images, which continues them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cls_env.arguments import whole_number

MARGIN = 2
"""The default of the embedded datasets: 32 pixels and a margin are the 36 that stable-baselines3's own CNN needs."""


def with_margin(images: NDArray[np.uint8], margin: int) -> NDArray[np.uint8]:
    """The images in a frame of their own mirrored pixels.

    Args:
        images: uint8 of shape (N, H, W) or (N, H, W, 3).
        margin: Width of the frame in pixels, less than H and W. The pixels inside it stay as they are.

    Returns:
        uint8 of shape (N, H + 2 margin, W + 2 margin) or (N, H + 2 margin, W + 2 margin, 3).

    Raises:
        ValueError: The margin is out of range.

    >>> with_margin(np.array([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]], dtype=np.uint8), 1)[0, 0].tolist()
    [5, 4, 5, 6, 5]
    """
    side = min(images.shape[1:3])
    if whole_number("margin", margin, 0) >= side:
        raise ValueError(f"margin must be less than the {side} pixels of the images, not {margin}")
    frame = [(0, 0), (margin, margin), (margin, margin), (0, 0)]
    return np.pad(images, frame[: images.ndim], mode="reflect")

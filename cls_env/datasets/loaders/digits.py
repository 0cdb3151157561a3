"""Scans of handwritten digits that come with scikit-learn, without a download."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from cls_env.arguments import whole_number
from cls_env.datasets.image_dataset import ImageDataset
from cls_env.datasets.margins import MARGIN, with_margin
from cls_env.datasets.splits import from_arrays


@lru_cache(maxsize=4)
def load_digits(
    image_size: int = 32 + 2 * MARGIN, test_fraction: float = 0.2, seed: int = 0, margin: int = MARGIN
) -> ImageDataset:
    """Load 1,797 scans of the digits 0 to 9, 8 x 8 pixels of 17 gray levels, enlarged.

    Args:
        image_size: Side of the square images with their margin, in pixels.
        test_fraction: Fraction of each class to hold out for testing, in (0, 1).
        seed: Seed of the split.
        margin: Width in pixels of a frame that continues the scan, which is enlarged bicubically to the pixels inside,
            at least 8 x 8. With `image_size=32, margin=0` the images are those of version 0.1.0 and of the experiments,
            the central pixels of the default ones. A stream's fingerprint does not depend on the margin; its
            `images_sha256` does.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
        ValueError: An argument is out of range.
    """
    try:
        from sklearn.datasets import load_digits as bundled
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('the digits need scikit-learn: pip install "cls-env[datasets]"') from error
    enlarged = image_size - 2 * whole_number("margin", margin, 0)
    if enlarged < 8:
        raise ValueError(
            f"digits: image_size must leave at least 8 pixels inside the margin, not {image_size} with margin {margin}"
        )
    scans, labels = bundled(return_X_y=True)
    grey = np.rint(scans.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    side = (enlarged, enlarged)
    images = np.stack([np.asarray(Image.fromarray(scan).resize(side, Image.Resampling.BICUBIC)) for scan in grey])
    return from_arrays(with_margin(images, margin), labels, test_fraction=test_fraction, seed=seed, name="digits")

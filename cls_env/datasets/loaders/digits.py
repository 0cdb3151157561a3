"""Scans of handwritten digits that come with scikit-learn, without a download."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from cls_env.datasets.image_dataset import ImageDataset
from cls_env.datasets.splits import from_arrays


@lru_cache(maxsize=4)
def load_digits(image_size: int = 32, test_fraction: float = 0.2, seed: int = 0) -> ImageDataset:
    """Load 1,797 scans of the digits 0 to 9, 8 x 8 pixels of 17 gray levels, enlarged.

    Args:
        image_size: Side of the square images, in pixels, at least 8. Enlarged bicubically.
        test_fraction: Fraction of each class to hold out for testing, in (0, 1).
        seed: Seed of the split.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
        ValueError: An argument is out of range.
    """
    try:
        from sklearn.datasets import load_digits as bundled
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('the digits need scikit-learn: pip install "cls-env[datasets]"') from error
    if image_size < 8:
        raise ValueError(f"digits: image_size must be at least 8 pixels, not {image_size}")
    scans, labels = bundled(return_X_y=True)
    grey = np.rint(scans.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    side = (image_size, image_size)
    images = np.stack([np.asarray(Image.fromarray(scan).resize(side, Image.Resampling.BICUBIC)) for scan in grey])
    return from_arrays(images, labels, test_fraction=test_fraction, seed=seed, name="digits")

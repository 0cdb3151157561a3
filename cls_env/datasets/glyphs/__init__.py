"""Glyphs, an embedded dataset that needs no download: each class is a character, each image a drawing of it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cls_env.arguments import whole_number
from cls_env.datasets.glyphs.characters import characters, class_name
from cls_env.datasets.glyphs.drawing import GlyphPainter, RandomStream
from cls_env.datasets.image_dataset import ImageDataset
from cls_env.datasets.margins import MARGIN, with_margin

__all__ = ["load_glyphs"]


@lru_cache(maxsize=4)
def load_glyphs(
    num_classes: int = 50,
    train_per_class: int = 20,
    test_per_class: int = 20,
    hard_fraction: float = 0.3,
    hard_strength: float = 3.0,
    seed: int = 0,
    margin: int = MARGIN,
) -> ImageDataset:
    """Draw a glyph dataset of 36 x 36 RGB images: drawings of 32 x 32 pixels with a margin of 2.

    The characters come from the stream pool, which is disjoint from the pretraining pool of the embedded backbone. A
    stream's class order, tasks, labels and fingerprint do not depend on the margin; its `images_sha256` does.

    Args:
        num_classes: Number of characters, chosen at random from the pool.
        train_per_class: Training images per class.
        test_per_class: Test images per class.
        hard_fraction: Fraction of hard images in each split, in [0, 1], exact up to rounding over the whole split.
        hard_strength: Factor on the warp, texture and noise of a hard image, at least 0. At 3 some are unreadable.
        seed: Seed of characters and pixels, which are identical on every machine.
        margin: Width in pixels of a frame that continues the drawing, less than 32. With 0 the images are the 32 x 32
            pixels inside it, those of version 0.1.0 and of the experiments.

    Returns:
        The images, ordered by class.

    Raises:
        ValueError: An argument is out of range.
    """
    seed = whole_number("seed", seed, 0)
    pool = characters()["stream"]
    if not 1 <= num_classes <= len(pool):
        raise ValueError(f"glyphs: num_classes must be in 1 ... {len(pool)}, not {num_classes}")
    if train_per_class < 1 or test_per_class < 1:
        raise ValueError(f"glyphs: every class needs train and test images, not {train_per_class} and {test_per_class}")
    if not 0 <= hard_fraction <= 1 or not 0 <= hard_strength < np.inf:
        raise ValueError(
            f"hard_fraction must be in [0, 1] and hard_strength at least 0, not {hard_fraction}, {hard_strength}"
        )
    chosen = [pool[i] for i in np.sort(RandomStream([seed, 0]).permutation(len(pool))[:num_classes])]

    def draw(split: int, per_class: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        labels = np.repeat(np.arange(num_classes), per_class)
        strength = np.ones(len(labels), dtype=np.float32)
        hard = RandomStream([seed, split, 1]).permutation(len(labels))[: round(hard_fraction * len(labels))]
        strength[hard] = hard_strength
        return with_margin(GlyphPainter(chosen, [seed, split, 2]).paint(labels, strength), margin), labels

    return ImageDataset("glyphs", *draw(1, train_per_class), *draw(2, test_per_class), tuple(map(class_name, chosen)))

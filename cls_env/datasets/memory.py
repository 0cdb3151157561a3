"""Reading rows of images so that a memory-mapped set does not fill the memory."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cls_env.datasets.image_dataset import Images


def gather(images: Images, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A copy of some rows, uint8 of shape (n, H, W, 3).

    Of a memory-mapped array the pages read are handed back at once: they stay in the system's file cache, but do not
    count as this process's memory, so that a pass over a set needs no more than a batch.
    """
    batch: NDArray[np.uint8] = images[rows]
    mapping = _mapping(images)
    if mapping is not None and hasattr(mapping, "madvise"):
        mapping.madvise(mmap.MADV_DONTNEED)
    return batch


def _mapping(images: Any) -> mmap.mmap | None:
    while isinstance(images, np.ndarray):
        images = images.base
    return images if isinstance(images, mmap.mmap) else None

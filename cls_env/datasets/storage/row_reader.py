"""Fast reading of image rows, such that a memory-mapped dataset does not fill the memory."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cls_env.datasets.image_dataset import Images

KEPT_BYTES = 128 * 2**20
MOST_BUFFERS = 4


class RowReader:
    """Copies rows of images.

    The pages read from a memory-mapped array are released after every 128 MiB. They stay in the system's file cache but
    do not count as memory of this process, so an epoch over a large dataset needs little more than a batch.

    A batch reuses the memory of an earlier batch that nothing refers to anymore, because mapping new memory takes about
    as long as the copy. A batch, or a view of it, that is kept does not change.

    Args:
        images: A NumPy array, a memory-mapped array, or one whose rows are computed.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        mapping = _mapping(images)
        large = mapping is not None and len(mapping) > KEPT_BYTES and hasattr(mapping, "madvise")  # not on Windows
        self._mapping = mapping if large else None
        self._read = 0
        self._buffers: list[NDArray[np.uint8]] = []

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """A copy of some rows, uint8 of shape (N, H, W, 3). The rows must exist."""
        if not isinstance(self._images, np.ndarray):
            return self._images[rows]
        batch = self._unused_buffer((len(rows), *self._images.shape[1:]))
        np.take(self._images, rows, axis=0, out=batch, mode="clip")  # other modes need a second buffer
        self._read += batch.nbytes
        if self._mapping is not None and self._read > KEPT_BYTES:
            self._mapping.madvise(mmap.MADV_DONTNEED)
            self._read = 0
        return batch

    def __deepcopy__(self, memo: dict[int, Any]) -> RowReader:
        """A reader of the same images, without a copy of them."""
        return RowReader(self._images)

    def _unused_buffer(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        for index, references in enumerate(_references(self._buffers)):
            if references == UNSHARED and self._buffers[index].shape == shape:
                return self._buffers[index]
        self._buffers = [*self._buffers[1 - MOST_BUFFERS :], np.empty(shape, dtype=np.uint8)]
        return self._buffers[-1]


def _references(buffers: Sequence[NDArray[np.uint8]]) -> list[int]:
    return [sys.getrefcount(buffer) for buffer in buffers]


UNSHARED = _references([np.empty(0, dtype=np.uint8)])[0]


def _mapping(images: Any) -> mmap.mmap | None:
    while isinstance(images, np.ndarray):
        images = images.base
    return images if isinstance(images, mmap.mmap) else None

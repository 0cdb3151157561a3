"""Images of a split that are kept on a device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.envs.episode_protocol import Source
from agents.networks.uploads import upload_small

CHUNK_BYTES = 256 * 2**20
"""The most bytes of images that are gathered in main memory at once."""


class DeviceImages:
    """The images of some tasks of a stream, on a device.

    Args:
        source: Holds the images and their tasks.
        device: Where they are kept.
    """

    def __init__(self, source: Source, device: torch.device) -> None:
        self._source, self._device = source, device
        self._images = source.images
        self._place = np.full(len(self._images), -1)
        self._kept = torch.empty(0, dtype=torch.uint8, device=device)

    def keep(self, tasks: Sequence[int]) -> None:
        """Replace the images that are kept by those of some tasks, unless these are all there."""
        rows = self._source.rows_of(tasks)
        if (self._place[rows] >= 0).all():
            return
        self.release()  # frees the memory first
        shape = self._images.shape[1:]
        self._kept = torch.empty((len(rows), *shape), dtype=torch.uint8, device=self._device)
        step = max(1, CHUNK_BYTES // int(np.prod(shape)))
        for start in range(0, len(rows), step):
            chunk = np.ascontiguousarray(self._images[rows[start : start + step]])
            self._kept[start : start + step] = torch.from_numpy(chunk).to(self._device)
        self._place[rows] = np.arange(len(rows))

    @property
    def kept_bytes(self) -> int:
        """Bytes of the images that are kept."""
        return self._kept.nbytes

    def release(self) -> None:
        """Keep no image."""
        self._place[:] = -1
        self._kept = torch.empty(0, dtype=torch.uint8, device=self._device)

    def take(self, rows: NDArray[np.int64], tasks: NDArray[np.int64]) -> Tensor:
        """Images, uint8 of shape (N, H, W, 3). If one is not kept, those of all their tasks and of the current ones are
        fetched.

        Args:
            rows: Of the images in their split, int64 of shape (N,).
            tasks: Of the images, int64 of shape (N,).
        """
        if (self._place[rows] < 0).any():
            self.keep(sorted({*self._source.tasks, *tasks.tolist()}))
        return self._kept.index_select(0, upload_small(torch.from_numpy(self._place[rows]), self._device))


def image_bytes(source: Source, tasks: Sequence[int]) -> int:
    """Bytes of the images of some tasks."""
    return len(source.rows_of(tasks)) * int(np.prod(source.images.shape[1:]))


def free_bytes(device: torch.device) -> int:
    """Bytes of a GPU's memory that this process can still allocate."""
    unused_cache = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused_cache

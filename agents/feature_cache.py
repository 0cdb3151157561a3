"""Features of a frozen backbone, computed once for each image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class FeatureCache:
    """Remembers features by image index; exact as long as neither the backbone nor the images change.

    In the head-only phase of a task every epoch would repeat the same forward passes; with the cache the second and
    later ones cost a gather. It must be forgotten when the backbone learns, and not be used on augmented images.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop all features."""
        self._slots: dict[int, int] = {}
        self._features: Tensor | None = None

    def features(self, indices: NDArray[np.int64], images: Tensor, extract: Callable[[Tensor], Tensor]) -> Tensor:
        """The features of a batch, of which only those not met before are computed.

        Args:
            indices: An integer for each image that tells images apart, shape (B,).
            images: The images, shape (B, ...).
            extract: The frozen backbone, images to features of shape (n, D).

        Returns:
            Features of shape (B, D), without gradient.
        """
        new = {int(index): row for row, index in enumerate(indices) if int(index) not in self._slots}
        if new:
            with torch.no_grad():
                computed = extract(images[list(new.values())])
            self._slots |= {index: len(self._slots) + position for position, index in enumerate(new)}
            self._features = computed if self._features is None else torch.cat([self._features, computed])
        assert self._features is not None
        return self._features[[self._slots[int(index)] for index in indices]]

"""A memory of the features of test images in a backbone that never changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class FeatureMemory:
    """Features of the batches of one environment, for one policy; kept from one evaluation to the next.

    Batches are kept as they were computed, since the rounding of an image's features may depend on the images beside
    it. Unlike `FeatureCache`, it relies on the environment to show the same image under the same row.
    """

    def __init__(self) -> None:
        self._batches: dict[tuple[bytes, str], Tensor] = {}

    def features(self, rows: NDArray[np.int64], precision: str, compute: Callable[[], Tensor]) -> Tensor:
        """The features of a batch; they are computed when its rows come together for the first time.

        Args:
            rows: Row of each image in its split, int64 of shape (B,).
            precision: In which they are computed.
            compute: Computes the features, shape (B, D).
        """
        key = rows.tobytes(), precision
        if key not in self._batches:
            self._batches[key] = compute()
        return self._batches[key]

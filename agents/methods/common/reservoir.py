"""Reservoir sampling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def reservoir_slots(num_seen: int, count: int, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of new items in a buffer that is a uniform sample, without replacement, of all items seen so far.

    Source: Vitter, "Random Sampling with a Reservoir", 1985, algorithm R.

    Args:
        num_seen: Number of earlier items.
        count: Number of new items, in their order.
        size: Size of the buffer.
        rng: Draws the positions.

    Returns:
        A position for each new item, or -1 for one that is not kept; int64 of shape (count,). Of two items for one
        position the later one stays.
    """
    items = np.arange(num_seen, num_seen + count)
    drawn = np.where(items < size, items, rng.integers(0, items + 1))
    return np.where(drawn < size, drawn, -1)

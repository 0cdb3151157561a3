"""A bounded sample of all that has gone by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def reservoir_slots(seen: int, offered: int, size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Where items go in a buffer that is a uniform sample, without replacement, of all items offered so far.

    Source: Vitter, "Random Sampling with a Reservoir", 1985, algorithm R.

    Args:
        seen: Items offered before.
        offered: Items offered now, one after the other.
        size: Of the buffer.
        random: Draws the slots.

    Returns:
        A slot for each, or -1 for one that is not kept; int64 of shape (offered,). Of two items for one slot the later
        one stays.
    """
    places = np.arange(seen, seen + offered)
    drawn = np.where(places < size, places, random.integers(0, places + 1))
    return np.where(drawn < size, drawn, -1)

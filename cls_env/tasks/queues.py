"""Queues: the rows of one split, epoch after epoch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


class SampledRows(NamedTuple):
    """Rows of the next images.

    Attributes:
        rows: Row of each image in its split, int64 of shape (N,).
        padding: True for images that only fill the batch, bool of shape (N,).
    """

    rows: Indices
    padding: NDArray[np.bool_]


class EpochQueue:
    """Training rows in random order, without replacement within an epoch.

    Args:
        rows: int64 of shape (R,), at least one.
    """

    def __init__(self, rows: Indices) -> None:
        self._rows = rows
        self._pending = rows[:0]

    def __len__(self) -> int:
        """Rows per epoch."""
        return len(self._rows)

    def next_indices(self, count: int, generator: np.random.Generator) -> SampledRows:
        """Return the next rows. A batch may span two epochs; the second one is shuffled when its first row is due."""
        while len(self._pending) < count:
            self._pending = np.concatenate([self._pending, generator.permutation(self._rows)])
        rows, self._pending = self._pending[:count], self._pending[count:]
        return SampledRows(rows, np.zeros(count, dtype=np.bool_))


class EvaluationQueue:
    """Evaluation rows in the given order. An epoch ends at the end of a batch.

    If the last batch of an epoch has more slots than remaining rows, its first slots repeat rows. stable-baselines3's
    `evaluate_policy` counts only the last environments in the last round, so it counts each row once.

    Args:
        rows: int64 of shape (R,), at least one.
        counts: Whether the rows count. If not, all of them are padding.
    """

    def __init__(self, rows: Indices, counts: bool) -> None:
        self._rows = rows
        self._counts = counts
        self._next = 0

    def __len__(self) -> int:
        """Rows per epoch that count."""
        return len(self._rows) if self._counts else 0

    def next_indices(self, count: int, generator: np.random.Generator) -> SampledRows:
        """Return the next rows."""
        remaining = self._rows[self._next : self._next + count]
        num_padding = count - len(remaining)
        self._next = (self._next + len(remaining)) % len(self._rows)
        rows = np.concatenate([np.resize(self._rows, num_padding), remaining]) if num_padding else remaining
        return SampledRows(rows, np.arange(count) < (num_padding if self._counts else count))

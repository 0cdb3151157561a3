"""How many runs share a GPU: one more is added as long as the total number of images per second rises."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from experiments.config.settings import Settings

SECONDS = 30.0
"""How long images are counted at each number of runs."""
GAIN = 1.05
"""A further run must raise the rate by this factor."""
MEMORY_MARGIN = 1.5
"""The free memory that a further run needs, as a multiple of what each has taken so far."""


class SharedGPU:
    """Allows one run at first, and one more as long as that pays.

    Each time that all allowed runs have reported images, it counts images for `SECONDS`. If the rate is `GAIN` times
    that with one run less and memory allows it, a further run is allowed. If the rate has fallen, one less is allowed
    from then on. Otherwise the number stays.

    Args:
        most: The most runs at once.
        fits: Whether the GPU's memory allows one run more than so many.
        clock: The time in seconds.

    Attributes:
        allowed: The number of runs that may be executed at once.
        settled: Whether it stays.
    """

    def __init__(self, most: int, fits: Callable[[int], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self.allowed, self.settled = 1, most <= 1
        self._most, self._fits, self._clock = most, fits, clock
        self._rate = 0.0
        self._reporting: set[int] = set()
        self._began: float | None = None
        self._images = 0

    def note(self, worker: int, images: int) -> None:
        """Note that a worker has processed some images.

        Args:
            worker: Its process id.
            images: Their number.
        """
        if self.settled:
            return
        now = self._clock()
        self._reporting.add(worker)
        if len(self._reporting) < self.allowed:
            return
        if self._began is None:
            self._began = now
            return
        self._images += images
        if now - self._began >= SECONDS:
            self._judge(self._images / (now - self._began))

    def _judge(self, rate: float) -> None:
        paid = rate >= GAIN * self._rate
        if paid and self.allowed < self._most and self._fits(self.allowed):
            self._rate = rate
            self.allowed += 1
            self._reporting, self._began, self._images = set(), None, 0
            return
        self.settled = True
        if rate < self._rate:
            self.allowed -= 1


def uses_gpu(config: Settings) -> bool:
    """Whether the runs of a configuration use a GPU."""
    return config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())


def memory_check() -> Callable[[int], bool]:
    """Whether the GPU's memory allows one run more than so many, judged by what they have taken since now."""
    before, _ = torch.cuda.mem_get_info()

    def fits(runs: int) -> bool:
        free, _ = torch.cuda.mem_get_info()
        return free >= MEMORY_MARGIN * (before - free) / runs

    return fits

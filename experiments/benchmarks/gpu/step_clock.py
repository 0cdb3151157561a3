"""Times the steps of `learn` without slowing them."""

from __future__ import annotations

import time

import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

from experiments.benchmarks.gpu.facts import synchronize
from experiments.runs.peak_memory import peak_bytes, reset_peak

WARM_UP = 3


class StepClock(BaseCallback):
    """Times some steps after the first ones; only before and after them it waits for the device.

    Args:
        steps: Number of steps that are timed.
        device: Of the agent.

    Attributes:
        before: Seconds until the timed steps.
        seconds: Seconds of a step.
        peak: Bytes of memory.
    """

    before = seconds = 0.0
    peak: int | None = None

    def __init__(self, steps: int, device: torch.device) -> None:
        super().__init__()
        self.steps, self._device = steps, device
        self.needed = WARM_UP + steps + 1
        self._mark = time.perf_counter()

    def begin(self) -> None:
        """Called before the timed steps."""
        reset_peak(self._device)

    def end(self) -> None:
        """Called after the timed steps."""
        self.peak = peak_bytes(self._device)

    def _on_step(self) -> bool:
        if self.n_calls == WARM_UP:
            self.before = self._lap()
            self.begin()
            self._lap()
        elif self.n_calls == WARM_UP + self.steps:
            self.seconds = self._lap() / self.steps
            self.end()
        return True

    def _lap(self) -> float:
        """Seconds since the lap before."""
        synchronize(self._device)
        now = time.perf_counter()
        passed, self._mark = now - self._mark, now
        return passed


class IdleClock(StepClock):
    """Profiles the timed steps, which the profiler slows a little.

    Attributes:
        idle: Share of the time in which the GPU computes nothing, in [0, 1].
    """

    idle = 0.0

    def begin(self) -> None:
        """Start the profiler."""
        self._profile = profile(activities=[ProfilerActivity.CUDA])
        self._profile.start()

    def end(self) -> None:
        """Read the profiler."""
        self._profile.stop()
        kernels = [event for event in self._profile.key_averages() if event.device_type == DeviceType.CUDA]
        busy = sum(event.self_device_time_total for event in kernels) / 1e6
        self.idle = max(0.0, 1 - busy / (self.seconds * self.steps))

"""Steps in which every wait for the GPU is an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor
from torch.overrides import TorchFunctionMode

from experiments.benchmarks.gpu.random_agent import random_agent
from experiments.benchmarks.gpu.report import Check, Row
from experiments.benchmarks.gpu.settings import PATHS, GpuSettings
from experiments.benchmarks.gpu.step_clock import WARM_UP


def checks(settings: GpuSettings) -> dict[str, Check]:
    """Steps without a wait, on each path that keeps images on the device."""
    paths = [path for path in settings.paths if PATHS[path]["device_images"] == "yes"]
    if settings.device.type != "cuda":
        return {"waits": lambda: [Row("steps without a wait", "skipped: there is no GPU")]}
    return {path: partial(_steps, settings, path) for path in paths}


class RefuseWaits(BaseCallback):
    """Makes waits errors between two steps of the environment.

    Args:
        first: Number of the step from which on they are.
        last: Number of the step after which they are not.
    """

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self._first, self._last = first, last
        self._refusing = ExitStack()

    def _on_step(self) -> bool:
        if self.n_calls == self._first:
            torch.cuda.set_sync_debug_mode("error")
            self._refusing.callback(torch.cuda.set_sync_debug_mode, "default")
            self._refusing.enter_context(RefusePageable())
        elif self.n_calls == self._last:
            self.allow()
        return True

    def allow(self) -> None:
        """Allow waits again."""
        self._refusing.close()


class RefusePageable(TorchFunctionMode):
    """Refuses copies from pageable memory that are said not to block: they do, and PyTorch does not notice it."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in (Tensor.to, Tensor.copy_, Tensor.cuda):
            source = args[1] if func is Tensor.copy_ else args[0]
            if isinstance(source, Tensor) and not source.is_cuda and result.is_cuda and not source.is_pinned():
                raise RuntimeError(f"a copy of {source.nbytes} bytes from pageable memory to the GPU")
        return result


def _steps(settings: GpuSettings, path: str) -> Iterator[Row]:
    agent = random_agent(settings, path)
    last = WARM_UP + settings.steps
    watch = RefuseWaits(WARM_UP, last)
    try:
        agent.learn((last + 1) * agent.batch_size, watch, log_interval=1)
    finally:
        watch.allow()
    yield Row(f"steps without a wait, {path}", settings.steps, "steps", settings.steps)

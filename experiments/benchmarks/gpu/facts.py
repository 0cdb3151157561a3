"""Versions, and what the device itself can do."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.metadata import version

import torch

from experiments.benchmarks.gpu.report import Check, Row
from experiments.benchmarks.gpu.settings import GpuSettings

PACKAGES = ("torch", "timm", "peft", "stable-baselines3", "gymnasium", "numpy")
COPIED = 2**28
SECONDS = 1.0
"""How long matrices are multiplied: in a shorter time a GPU's clock is higher than in training."""


def checks(settings: GpuSettings) -> dict[str, Check]:
    """Versions; GB/s of copies; microseconds of a launch; TFLOP/s of bfloat16 matrix products."""
    return {
        "versions": partial(_versions, settings.device),
        "copies": partial(_copies, settings.device),
        "launch": partial(_launch, settings.device),
        "matrix product": lambda: [
            Row(
                f"bf16 product of {settings.matrix_size} x {settings.matrix_size} matrices",
                matrix_rate(settings.device, settings.matrix_size) / 1e12,
                "TFLOP/s",
            )
        ],
    }


@cache
def matrix_rate(device: torch.device, size: int) -> float:
    """Floating-point operations a second of bfloat16 matrix products."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / seconds_of(lambda: torch.matmul(left, right), device, SECONDS)


def synchronize(device: torch.device) -> None:
    """Wait until a device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object], device: torch.device, at_least: float) -> float:
    """Seconds of one call of many, which take at least some seconds together, after a warm-up."""
    work()
    synchronize(device)
    started, calls = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < at_least:
        for _ in range(10):
            work()
        synchronize(device)
        calls += 10
    return (time.perf_counter() - started if not calls else passed) / max(calls, 1)


def _versions(device: torch.device) -> Iterator[Row]:
    yield Row("python", platform.python_version())
    for name in PACKAGES:
        yield Row(name, version(name))
    yield Row("processors", os.cpu_count() or 1)
    if device.type == "cuda":
        yield Row("card", torch.cuda.get_device_name())
        yield Row("memory of the card", torch.cuda.mem_get_info()[1] / 2**30, "GiB")
        yield Row("CUDA", str(torch.version.cuda))


def _copies(device: torch.device) -> Iterator[Row]:
    """Copies within the device and, to a GPU, from main memory."""
    there = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(there)
    yield Row("copy within the device", COPIED / seconds_of(lambda: target.copy_(there), device, 0.1) / 1e9, "GB/s")
    if device.type == "cuda":
        pageable = torch.zeros(COPIED, dtype=torch.uint8)
        for name, source in {"pageable": pageable, "pinned": pageable.pin_memory()}.items():
            seconds = seconds_of(partial(target.copy_, source, non_blocking=True), device, 0.1)
            yield Row(f"copy from {name} memory", COPIED / seconds / 1e9, "GB/s")


def _launch(device: torch.device) -> Iterator[Row]:
    number = torch.zeros(1, device=device)
    yield Row("launch of a kernel", seconds_of(lambda: number.add_(1), device, 0.1) * 1e6, "us")

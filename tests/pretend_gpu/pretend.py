"""Where the pretend GPU begins and ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.pretend_gpu.functions import Functions, Generator
from tests.pretend_gpu.kernels import Kernels
from tests.pretend_gpu.traffic import Traffic

MEMORY = 2**36
ANSWERS: dict[str, Any] = {
    "is_available": True,
    "is_bf16_supported": True,
    "is_current_stream_capturing": False,
    "device_count": 1,
    "current_device": 0,
    "get_device_name": "pretend GPU",
    "get_device_capability": (9, 0),
    "mem_get_info": (MEMORY, MEMORY),
    "memory_allocated": 0,
    "memory_reserved": 0,
    "max_memory_allocated": 0,
    "reset_peak_memory_stats": None,
    "empty_cache": None,
    "set_sync_debug_mode": None,
    "synchronize": None,
    "current_stream": SimpleNamespace(is_capturing=lambda: False, synchronize=lambda: None),
}
"""What functions of `torch.cuda` return."""


@contextmanager
def pretend_gpu() -> Iterator[Traffic]:
    """Pretend that there is a GPU, and record its traffic. Afterwards PyTorch is as it was."""
    traffic = Traffic()
    kernels = Kernels(traffic)
    with pytest.MonkeyPatch.context() as patch:
        for name, answer in ANSWERS.items():
            patch.setattr(torch.cuda, name, _always(answer))
        if hasattr(torch, "accelerator"):  # since PyTorch 2.6
            patch.setattr(torch.accelerator, "current_stream", _always(ANSWERS["current_stream"]))
        patch.setattr(torch, "Generator", Generator)
        for module in (torch, torch.amp):
            patch.setattr(module, "autocast", _HostAutocast)
        patch.setattr(torch, "is_autocast_enabled", _is_autocast_enabled)
        with kernels, Functions(traffic, kernels):
            yield traffic


def _always(answer: Any) -> Any:
    return lambda *args, **kwargs: answer


_is_enabled = torch.is_autocast_enabled


def _is_autocast_enabled(device_type: str = "cuda") -> bool:
    return _is_enabled("cpu" if device_type == "cuda" else device_type)


class _HostAutocast(torch.autocast):
    """Autocast of the GPU, done where the tensors really are."""

    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
        super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)

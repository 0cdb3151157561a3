"""Copies of small tensors to a device, without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor


def upload_small(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy of a small tensor of the CPU on a device.

    A copy to a GPU goes from pinned memory, so that neither side waits. The tensor may be changed afterwards.
    """
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)

"""The device that an agent runs on."""

from __future__ import annotations

import torch

from cls_env.specification import quoted


def checked_device(device: torch.device | str) -> torch.device | str:
    """Check that a device exists, and return it; stable-baselines3 would silently use the CPU.

    Args:
        device: `"auto"`, a CUDA device if there is one, or a device of PyTorch.

    Raises:
        ValueError: The CUDA device, or that of Apple, is missing, or the text names no device.
    """
    if isinstance(device, str) and device == "auto":
        return device
    try:
        wanted = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        known = "'auto', 'cpu', 'cuda', 'mps' or 'cuda:0' and so on"
        raise ValueError(f"device must be {known}, not {quoted(device)}") from error
    count = torch.cuda.device_count() if wanted.type == "cuda" else 0
    if wanted.type == "cuda" and (wanted.index or 0) >= count:
        raise ValueError(
            f"device {str(wanted)!r} is not there: PyTorch sees {count} CUDA devices; use device='auto' or 'cpu'"
        )
    if wanted.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device 'mps' is not there: PyTorch sees no Apple GPU; use device='auto' or 'cpu'")
    return wanted

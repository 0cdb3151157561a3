"""The device that an agent runs on."""

from __future__ import annotations

import torch


def checked_device(device: torch.device | str) -> torch.device | str:
    """Check that a device exists, and return it; stable-baselines3 would silently use the CPU.

    Args:
        device: `"auto"`, a GPU if there is one, or a device of PyTorch.

    Raises:
        ValueError: The CUDA device is missing, or the text names no device.
    """
    if isinstance(device, str) and device == "auto":
        return device
    try:
        wanted = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:0' and so on, not {device!r}") from error
    count = torch.cuda.device_count() if wanted.type == "cuda" else 0
    if wanted.type == "cuda" and (wanted.index or 0) >= count:
        raise ValueError(
            f"device {str(wanted)!r} is not there: PyTorch sees {count} CUDA devices; use device='auto' or 'cpu'"
        )
    return wanted

"""Allocation of memory whose size an argument sets."""

from __future__ import annotations

import torch
from torch import Tensor


def allocate_zeros(argument: str, size: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Zeros of shape (size, *shape).

    Args:
        argument: Name of the argument that sets the size, for the message.
        size: The first dimension.
        *shape: The further ones.
        dtype: Of the numbers.

    Raises:
        ValueError: There is too little memory.
    """
    try:
        return torch.zeros(size, *shape, dtype=dtype)
    except (RuntimeError, MemoryError, OverflowError, TypeError) as error:  # TypeError for a size beyond 64 bits
        gigabytes = size * float(torch.Size(shape).numel()) * dtype.itemsize / 1e9
        raise ValueError(
            f"{argument}={size} needs {gigabytes:.3g} GB of memory, more than there is: choose a smaller one"
        ) from error

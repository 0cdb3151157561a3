"""Memory of a size that an argument asks for."""

from __future__ import annotations

import torch
from torch import Tensor


def room(argument: str, size: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Zeros.

    Args:
        argument: Which one asks for the size, for the message.
        size: The first dimension.
        *shape: The further ones.
        dtype: Of the numbers.

    Raises:
        ValueError: There is not so much memory.
    """
    try:
        return torch.zeros(size, *shape, dtype=dtype)
    except (RuntimeError, MemoryError, OverflowError, TypeError) as error:  # TypeError for a size beyond 64 bits
        gigabytes = size * float(torch.Size(shape).numel()) * dtype.itemsize / 1e9
        raise ValueError(
            f"{argument}={size} needs {gigabytes:.3g} GB of memory, more than there is: choose a smaller one"
        ) from error

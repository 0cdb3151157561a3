"""Where the memory of a tensor pretends to be: an attribute of its storage, which goes when the storage goes.

Views share the storage of their base, and with it the mark; so does a parameter whose `data` is replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

HOST = torch.device("cpu")
GPU = torch.device("cuda", 0)


def storage_of(tensor: Tensor) -> torch.UntypedStorage:
    """The storage of a tensor, of the values if it is sparse. PyTorch returns one object for each storage."""
    return (tensor._values() if tensor.is_sparse else tensor).untyped_storage()


def place_of(tensor: Tensor) -> torch.device:
    """The pretended device of a tensor."""
    return getattr(storage_of(tensor), "_pretended_place", HOST)


def put(tensor: Tensor, place: torch.device) -> None:
    """Mark a tensor, and all that share its storage."""
    storage_of(tensor)._pretended_place = place  # type: ignore[attr-defined]


def is_pinned(tensor: Tensor) -> bool:
    """Whether the GPU can copy from a tensor's memory while the host goes on."""
    return getattr(storage_of(tensor), "_pretended_pinned", False)


def pin(tensor: Tensor) -> None:
    """Mark the memory of a tensor as page-locked."""
    storage_of(tensor)._pretended_pinned = True  # type: ignore[attr-defined]


def on_gpu(tensors: Iterable[Tensor]) -> bool:
    """Whether any of the tensors is on the GPU."""
    return any(place_of(tensor) == GPU for tensor in tensors)


def tensors_in(*values: Any) -> list[Tensor]:
    """The tensors in arguments or results, also within lists, tuples and dicts."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += tensors_in(*value)
        elif isinstance(value, dict):
            found += tensors_in(*value.values())
    return found


def share_memory(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one storage."""
    return storage_of(one) is storage_of(other)

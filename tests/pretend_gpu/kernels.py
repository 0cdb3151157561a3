"""What a GPU does with an operation of PyTorch: where its results are, what it refuses, and when the host waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.pretend_gpu.memory import GPU, HOST, is_pinned, on_gpu, place_of, put, storage_of, tensors_in
from tests.pretend_gpu.traffic import Traffic

WAITING = {
    "_linalg_check_errors",
    "_linalg_eigh",
    "_linalg_svd",
    "_local_scalar_dense",
    "_unique",
    "_unique2",
    "allclose",
    "bincount",
    "equal",
    "linalg_eig",
    "linalg_lstsq",
    "masked_select",
    "nonzero",
    "repeat_interleave",
    "unique_consecutive",
    "unique_dim",
}
"""Operations whose result, or its shape, the host reads from the GPU; `item` and `bool` call one of them."""
COPYING = {"copy_", "_foreach_copy_"}
JOINING = {"stack"}
"""Operations that take no numbers from the host."""
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"}


class Kernels(TorchDispatchMode):
    """Sees each operation below autograd, in backward passes too.

    Attributes:
        place: Where a tensor is that is made of no other, such as the zeros within a backward pass.
    """

    def __init__(self, traffic: Traffic) -> None:
        super().__init__()
        self._traffic = traffic
        self.place = HOST

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        inputs = tensors_in(args, kwargs)
        if name in COPYING:
            self._copy(name, *args[:3])
            return func(*args, **kwargs)
        if not (on_gpu(inputs) or (not inputs and self.place == GPU)):
            return func(*args, **kwargs)
        if name in INDEXING:
            self._index(name, *args)
        else:
            if any(place_of(tensor) == HOST for tensor in inputs):
                _refuse_mixture(name, inputs, inputs if name in JOINING else _written(func, args))
            if name in WAITING:
                self._traffic.add("wait", name, 0)
        given = {id(storage_of(tensor)) for tensor in inputs}
        results = func(*args, **kwargs)
        for result in tensors_in(results):
            if id(storage_of(result)) not in given:
                put(result, GPU)
        return results

    def _copy(self, name: str, into: Any, values: Any, non_blocking: bool = False) -> None:
        for target, source in zip(tensors_in(into), tensors_in(values), strict=True):
            places = place_of(source), place_of(target)
            if places == (HOST, GPU):
                self._traffic.add("upload", name, target.nbytes, not (non_blocking and is_pinned(source)))
            elif places == (GPU, HOST):
                self._traffic.add("download", name, target.nbytes, not (non_blocking and is_pinned(target)))

    def _index(self, name: str, indexed: Tensor, indices: Sequence[Tensor | None], *values: Any) -> None:
        """Indices may come from the host; those that are masks are counted on the GPU, and the host reads the count."""
        _refuse_mixture(name, [indexed, *tensors_in(values)], [indexed])
        masks = []
        for index in tensors_in(indices):
            if place_of(indexed) == HOST:
                raise _mixture(name, [indexed, index])
            if place_of(index) == HOST:
                self._traffic.add("upload", f"index of {name}", index.nbytes)
            elif index.dtype in (torch.bool, torch.uint8):
                masks.append(index)
        filled = bool(values) and values[0].numel() == 1 and not any(values[1:2])
        if masks and not filled:
            self._traffic.add("wait", f"mask of {name}", 0)


def _written(func: Any, args: tuple[Any, ...]) -> list[Tensor]:
    """The arguments that an operation writes to."""
    arguments = zip(func._schema.arguments, args, strict=False)
    return tensors_in([value for known, value in arguments if known.alias_info and known.alias_info.is_write])


def _refuse_mixture(name: str, tensors: Sequence[Tensor], strict: Iterable[Tensor]) -> None:
    """If any tensor is on the GPU, all must be; but numbers, tensors of no dimension, may come from the host.

    Args:
        name: Of the operation.
        tensors: Its operands.
        strict: Those of them that must be on the GPU even if they are numbers.
    """
    bound = {id(tensor) for tensor in strict}
    if on_gpu(tensors):
        for tensor in tensors:
            if place_of(tensor) == HOST and (tensor.dim() or id(tensor) in bound):
                raise _mixture(name, tensors)


def _mixture(name: str, tensors: Iterable[Tensor]) -> RuntimeError:
    found = ", ".join(f"{list(tensor.shape)} on {place_of(tensor)}" for tensor in tensors)
    return RuntimeError(f"{name} expects all tensors on the same device, and was given {found}")

"""What Python code asks of tensors by device: where they are, to move them, and NumPy arrays of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from tests.pretend_gpu.kernels import Kernels
from tests.pretend_gpu.memory import GPU, HOST, is_pinned, on_gpu, pin, place_of, put, share_memory, tensors_in
from tests.pretend_gpu.traffic import Traffic

ANSWERS: dict[Any, Callable[[Tensor], Any]] = {
    Tensor.device.__get__: place_of,  # type: ignore[attr-defined]
    Tensor.is_cuda.__get__: lambda tensor: place_of(tensor) == GPU,  # type: ignore[attr-defined]
    Tensor.is_cpu.__get__: lambda tensor: place_of(tensor) == HOST,  # type: ignore[attr-defined]
    Tensor.get_device: lambda tensor: -1 if place_of(tensor) == HOST else 0,
    Tensor.is_pinned: is_pinned,
}
ARRAYS = {Tensor.numpy, Tensor.__array__, Tensor.__dlpack__}
FROM_VALUES = {torch.tensor, torch.as_tensor, torch.asarray, torch.scalar_tensor, Tensor.new_tensor}


class Generator(torch.Generator):
    """A generator on the host that pretends to be on a device."""

    def __new__(cls, device: torch.device | str = HOST) -> Generator:
        """Make one."""
        generator = super().__new__(cls, HOST)
        generator._place = full_device(device)
        return generator

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The pretended device."""
        return self._place


class Functions(TorchFunctionMode):
    """Sees each call of PyTorch from Python."""

    def __init__(self, traffic: Traffic, kernels: Kernels) -> None:
        super().__init__()
        self._traffic, self._kernels = traffic, kernels

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in ANSWERS:
            return ANSWERS[func](args[0])
        if func in ARRAYS and place_of(args[0]) == GPU:
            raise TypeError("can't convert a tensor on cuda:0 to NumPy: copy it to the host first, by Tensor.cpu()")
        if func is Tensor.tolist and place_of(args[0]) == GPU:
            self._traffic.add("download", "tolist", args[0].nbytes)
        if func in (Tensor.to, Tensor.cuda, Tensor.cpu):
            return self._move(func, *args, **kwargs)
        if func is Tensor.pin_memory:
            return _pinned(args[0].clone())
        return self._call(func, args, kwargs)

    def _call(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        asked = kwargs.get("device")
        place = None if asked is None else full_device(asked)
        if place is not None:
            kwargs["device"] = HOST
        given = tensors_in(args, kwargs)
        here = place or (GPU if on_gpu(given) else HOST)
        if func is Tensor.new_tensor:
            place = here
        _check_generator(func, kwargs.get("generator"), here)
        wants_pinned = kwargs.pop("pin_memory", False)
        with self._making_tensors_on(here):
            results = func(*args, **kwargs)
        if func in FROM_VALUES and here == GPU and not on_gpu(given[:1]):
            self._traffic.add("upload", func.__name__, results.nbytes)
        if place is not None:
            results = _at(results, place, given)
        return _pinned(results) if wants_pinned else results

    def _move(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """`to`, `cuda` and `cpu`. On the pretend GPU a tensor is a copy, as it would be on a real one."""
        source = place_of(tensor)
        target, args, kwargs = _target(func, source, args, kwargs)
        non_blocking = kwargs.get("non_blocking", False) or args[2:3] == (True,)
        moved = Tensor.to(tensor, *args, **kwargs)
        if target == source:
            return moved
        moved = _at(moved, target, [tensor])
        if target == GPU:
            self._traffic.add("upload", func.__name__, moved.nbytes, not (non_blocking and is_pinned(tensor)))
            return moved
        self._traffic.add("download", func.__name__, moved.nbytes, not non_blocking)
        return _pinned(moved) if non_blocking else moved

    @contextmanager
    def _making_tensors_on(self, place: torch.device) -> Iterator[None]:
        before, self._kernels.place = self._kernels.place, place
        try:
            yield
        finally:
            self._kernels.place = before


def full_device(device: torch.device | str | int) -> torch.device:
    """A device with its index: `"cuda"` is the first one."""
    return GPU if torch.device(device).type == "cuda" else HOST


def _target(
    func: Any, source: torch.device, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[torch.device, tuple[Any, ...], dict[str, Any]]:
    """Where a tensor is moved to, and the arguments of `Tensor.to` for the rest: dtype, layout, non_blocking."""
    if func is not Tensor.to:
        return (GPU if func is Tensor.cuda else HOST), (HOST,), {k: v for k, v in kwargs.items() if k != "device"}
    first = kwargs.pop("device", None)
    if first is None and args and not isinstance(args[0], torch.dtype):
        first, args = args[0], args[1:]
    if first is None:
        return source, args, kwargs
    if isinstance(first, Tensor):
        return place_of(first), (first, *args), kwargs
    return full_device(first), (HOST, *args), kwargs


def _at(results: Any, place: torch.device, given: list[Tensor]) -> Any:
    """Results at a place: copies, where they share the memory of something that is elsewhere."""
    if not isinstance(results, Tensor) or place_of(results) == place:
        return results
    if any(share_memory(results, tensor) for tensor in given):
        results = results.clone()
    put(results, place)
    return results


def _pinned(tensor: Tensor) -> Tensor:
    pin(tensor)
    return tensor


def _check_generator(func: Any, generator: torch.Generator | None, place: torch.device) -> None:
    if generator is not None and full_device(generator.device) != place:
        raise RuntimeError(f"{func.__name__} expects a generator on {place}, not one on {generator.device}")

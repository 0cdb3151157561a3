"""A pretend GPU: tensors that are moved to "cuda" stay in main memory, but carry the name of the device.

It sees what Python asks of PyTorch: copies between devices, waits for the device, and three kinds of errors: tensors of
two devices in one operation, a generator of another device, and NumPy on a tensor of the device. Kernels are not real.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode, resolve_name

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
OURS = ("/cls_env/", "/agents/", "/experiments/", "/tests/")
WAITS = {
    "item", "tolist", "__bool__", "__int__", "__float__", "__index__", "__contains__", "nonzero", "unique", "equal",
    "allclose", "is_nonzero", "masked_select", "multinomial",
}  # fmt: skip
NO_DATA = {
    "data_ptr", "untyped_storage", "size", "dim", "numel", "stride", "element_size", "storage_offset", "is_contiguous",
    "is_floating_point", "is_complex", "__hash__", "__repr__", "requires_grad_", "nelement", "__len__", "ndimension",
    "register_hook", "has_names", "retain_grad",
}  # fmt: skip
MAY_MIX = {
    "_has_compatible_shallow_copy_type", "copy_", "__getitem__", "__setitem__", "index_put_", "to", "type_as", "set_",
    "_make_subclass",
}  # fmt: skip
MAKERS = {"to", "empty_like", "new_zeros", "new_full", "new_empty", "new_ones", "new_tensor"}


@dataclass
class Record:
    """What was seen.

    Attributes:
        uploads: Bytes of each copy to the device, and where it was asked for.
        waits: What waited for the device, and where: reads of values, copies back, and copies from memory that is not
            pinned.
        errors: What a real device would refuse, and where.
    """

    uploads: list[tuple[int, str]] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def clear(self) -> None:
        self.uploads.clear()
        self.waits.clear()
        self.errors.clear()


def device_of(tensor: torch.Tensor) -> torch.device:
    """The device of a tensor; its storage carries it, so that views and parameters share it."""
    return getattr(tensor.untyped_storage(), "pretended", CPU)


def put(tensor: torch.Tensor, device: torch.device) -> None:
    tensor.untyped_storage().pretended = device  # type: ignore[attr-defined]


def _place() -> str:
    for frame in reversed(traceback.extract_stack(limit=60)[:-4]):
        if any(part in frame.filename for part in OURS) and "site-packages" not in frame.filename:
            return f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno}"
    return "a library"


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)


def _named_device(value: Any) -> torch.device | None:
    if isinstance(value, str) and value.partition(":")[0] in ("cuda", "cpu"):
        value = torch.device(value)
    return (CUDA if value.type == "cuda" else CPU) if isinstance(value, torch.device) else None


class PretendedGenerator(torch.Generator):
    """A generator with the name of a device."""

    def __new__(cls, device: Any = "cpu") -> PretendedGenerator:
        made = super().__new__(cls, device="cpu")
        made.pretended = _named_device(device)
        return made


class PretendedAutocast(torch.autocast):
    """Autocast of the CPU, under any name."""

    def __init__(self, device_type: str, *arguments: Any, **named: Any) -> None:
        super().__init__("cpu", *arguments, **named)


class Pretended(TorchFunctionMode):
    """The mode in which tensors may be on the pretend GPU.

    Args:
        record: Receives what is seen.
    """

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(func, "__name__", "?"), dict(kwargs or {})
        if name in ("__get__", "__set__"):
            return self._property(func, name, args)
        if name in NO_DATA or (name == "type" and len(args) == 1):
            return func(*args, **kwargs)
        if name == "pin_memory":
            pinned = args[0].clone()
            pinned.untyped_storage().pinned = True
            return pinned
        args, kwargs, wanted = self._without_device(name, list(args), kwargs)
        given = list(_tensors([args, kwargs]))
        on_gpu = any(device_of(tensor) == CUDA for tensor in given)
        self._check(name, given, on_gpu, wanted, args, kwargs)
        result = func(*args, **kwargs)
        return self._placed(name, given, on_gpu, wanted, args, kwargs, result)

    def _property(self, func: Any, name: str, args: Any) -> Any:
        owner, tensor = resolve_name(func) or "", args[0]
        if name == "__get__" and "device" in owner:
            return device_of(tensor)
        if name == "__get__" and owner.endswith("is_cuda.__get__"):
            return device_of(tensor) == CUDA
        result = func(*args)
        if name == "__get__" and isinstance(result, torch.Tensor):
            put(result, device_of(tensor))  # a gradient has a storage of its own
        return result

    def _without_device(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> tuple[Any, Any, Any]:
        """The arguments with the CPU for each device, and the device that was named."""
        wanted = None
        if kwargs.get("device") is not None:
            wanted, kwargs["device"] = _named_device(kwargs["device"]), CPU
        if name in MAKERS:
            for index, value in enumerate(args[1:], start=1):
                if _named_device(value) is not None:
                    wanted, args[index] = _named_device(value), CPU
            if name == "to" and len(args) > 1 and isinstance(args[1], torch.Tensor):
                wanted = device_of(args[1])
        return args, kwargs, CPU if name == "cpu" else CUDA if name == "cuda" else wanted

    def _check(self, name: str, given: Any, on_gpu: bool, wanted: Any, args: Any, kwargs: Any) -> None:
        record = self._record
        devices = {device_of(tensor) for tensor in given if tensor.dim() or device_of(tensor) == CUDA}
        if len(devices) > 1 and name not in MAY_MIX and not name.startswith("_foreach"):
            record.errors.append(f"tensors of two devices in {name}, {_place()}")
        generator = kwargs.get("generator")
        if generator is not None:
            used = wanted or (CUDA if on_gpu else CPU)
            if getattr(generator, "pretended", CPU) != used:
                record.errors.append(f"a generator of another device in {name}, {_place()}")
        if name in ("numpy", "__array__") and on_gpu:
            record.errors.append(f"NumPy on a tensor of the device, {_place()}")
        if name in WAITS and on_gpu:
            record.waits.append(f"{name}, {_place()}")
        if name in ("__getitem__", "__setitem__") and len(args) > 1:
            self._check_index(name, args[0], args[1])

    def _check_index(self, name: str, tensor: Any, index: Any) -> None:
        on_gpu = device_of(tensor) == CUDA
        for part in index if isinstance(index, tuple) else (index,):
            if isinstance(part, torch.Tensor) and device_of(part) == CUDA and not on_gpu and part.dim():
                self._record.errors.append(f"an index of the device for a tensor of the CPU in {name}, {_place()}")
            of_cpu = isinstance(part, (list, np.ndarray)) or (isinstance(part, torch.Tensor) and device_of(part) == CPU)
            if on_gpu and of_cpu and not (isinstance(part, torch.Tensor) and not part.dim()):
                self._record.waits.append(f"an index from the CPU in {name}, {_place()}")
            if on_gpu and isinstance(part, torch.Tensor) and part.dtype == torch.bool:
                self._record.waits.append(f"a boolean index in {name}, {_place()}")

    def _placed(self, name: str, given: Any, on_gpu: bool, wanted: Any, args: Any, kwargs: Any, result: Any) -> Any:
        """The result, with its device."""
        if name == "copy_":
            self._moved(given[1], device_of(given[0]), kwargs) if len(given) > 1 else None
            return result
        if name in ("to", "cpu", "cuda") and given:
            target = wanted or device_of(given[0])
            self._moved(given[0], target, kwargs)
            if target != device_of(given[0]) and result.untyped_storage() is given[0].untyped_storage():
                result = result.clone()
            put(result, target)
            return result
        if wanted == CUDA and name in ("tensor", "as_tensor"):
            self._record.waits.append(f"torch.{name} on the device, {_place()}")
        inplace = name.endswith("_") and not name.endswith("__")
        device = wanted or (CUDA if on_gpu else CPU)
        for tensor in _tensors(result):
            if not inplace and (device == CUDA or not hasattr(tensor.untyped_storage(), "pretended")):
                put(tensor, device)
        return result

    def _moved(self, tensor: torch.Tensor, target: torch.device, kwargs: dict[str, Any]) -> None:
        if device_of(tensor) == target:
            return
        if target == CPU:
            self._record.waits.append(f"a copy from the device, {_place()}")
            return
        self._record.uploads.append((tensor.numel() * tensor.element_size(), _place()))
        if not (kwargs.get("non_blocking") and getattr(tensor.untyped_storage(), "pinned", False)):
            self._record.waits.append(f"a copy to the device from memory that is not pinned, {_place()}")


@contextmanager
def pretend_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    """A context in which there is a GPU, of compute capability 7.5 so that `precision="auto"` is float32."""
    answers = {
        "is_available": True, "device_count": 1, "get_device_capability": (7, 5), "mem_get_info": (2**34, 2**34),
        "memory_reserved": 0, "memory_allocated": 0, "max_memory_allocated": 0, "get_device_name": "pretend",
        "synchronize": None, "reset_peak_memory_stats": None, "manual_seed": None, "manual_seed_all": None,
        "current_device": 0,
    }  # fmt: skip
    with monkeypatch.context() as patch:
        for name, answer in answers.items():
            patch.setattr(torch.cuda, name, lambda *_, answer=answer, **__: answer)
        patch.setattr(torch, "autocast", PretendedAutocast)
        patch.setattr(torch, "Generator", PretendedGenerator)
        patch.setattr(torch.optim.Optimizer, "_accelerator_graph_capture_health_check", lambda self: None)
        record = Record()
        with Pretended(record):
            yield record

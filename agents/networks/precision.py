"""The precision of a backbone: in which arithmetic its matrix products are computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cls_env.arguments import one_of, word

PRECISIONS = ("auto", "float32", "tf32", "bfloat16")


def checked_precision(precision: str) -> str:
    """The name of a precision in `PRECISIONS`.

    Raises:
        ValueError: It is unknown.
    """
    return one_of("precision", word("precision", precision), PRECISIONS)


def precision_on(precision: str, device: torch.device) -> str:
    """The precision that is used on a device: `"auto"` is bfloat16 on a GPU that computes in it, and float32 elsewhere.

    Args:
        precision: A name in `PRECISIONS`.
        device: Where the network runs.

    Returns:
        `"float32"`, `"tf32"` or `"bfloat16"`.

    Raises:
        ValueError: The device does not compute in this precision.
    """
    ampere = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    if precision == "auto":
        return "bfloat16" if ampere else "float32"
    if precision == "tf32" and not ampere:
        raise ValueError(
            f"precision='tf32' needs an NVIDIA GPU of compute capability 8.0 or higher, but the device is "
            f"{str(device)!r}: use precision='auto' or 'float32'"
        )
    return precision


@contextmanager
def arithmetic(precision: str, device: torch.device) -> Iterator[None]:
    """A context in which passes through a backbone are computed in a precision; gradients in tf32 need it too.

    bfloat16 is PyTorch's autocast: matrix products are computed in it, and weights, softmax and normalization stay in
    float32.

    Args:
        precision: A name in `PRECISIONS`.
        device: Where the network runs.

    Raises:
        ValueError: The device does not compute in this precision.
    """
    used = precision_on(precision, device)
    with tensor_float_32(used == "tf32"), torch.autocast(device.type, torch.bfloat16, enabled=used == "bfloat16"):
        yield


@contextmanager
def tensor_float_32(enabled: bool) -> Iterator[None]:
    """A context in which matrix products of float32 tensors on a GPU may be computed in TF32, if it is enabled."""
    before = torch.get_float32_matmul_precision()
    if enabled:
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        if enabled:
            torch.set_float32_matmul_precision(before)

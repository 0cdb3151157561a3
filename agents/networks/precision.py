"""The precision of a backbone: in which arithmetic its matrix products are computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

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
def arithmetic(precision: str, device: torch.device, fused_attention: bool = False) -> Iterator[None]:
    """A context in which passes through a backbone are computed in a precision; gradients in tf32 need it too.

    bfloat16 is PyTorch's autocast: matrix products are computed in it, and weights, softmax and normalization stay in
    float32.

    Args:
        precision: A name in `PRECISIONS`.
        device: Where the network runs.
        fused_attention: Use PyTorch's fused attention even where its backward pass is slow, in bfloat16 on a CPU. It
            keeps less memory.

    Raises:
        ValueError: The device does not compute in this precision.
    """
    used = precision_on(precision, device)
    in_bfloat16 = used == "bfloat16"
    slow = in_bfloat16 and device.type == "cpu" and torch.is_grad_enabled()
    with (
        tensor_float_32(used == "tf32"),
        torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16),
        attention_by_products() if slow and not fused_attention else nullcontext(),
    ):
        yield


@contextmanager
def attention_by_products() -> Iterator[None]:
    """A context in which attention is computed by plain matrix products, in the precision of its inputs.

    In bfloat16 on a CPU, the backward pass of PyTorch's fused attention takes more time than all else in a block.
    """
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)  # concerns the CPU too
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(before)


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

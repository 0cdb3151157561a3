"""One cast for queries, keys, values and their LoRAs under autocast: the same outputs, with fewer casts."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from peft.tuners.lora import LoraLayer
from torch.utils._python_dispatch import TorchDispatchMode

from agents.peft_modules import add_peft_module
from agents.peft_modules.split_projection import SplitQKV

BFLOAT16 = {"device_type": "cpu", "dtype": torch.bfloat16}


class Casts(TorchDispatchMode):
    """Counts the casts of tensors of one shape."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.shape, self.count = shape, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._to_copy.default and args[0].shape == self.shape
        return func(*args, **(kwargs or {}))


def split_projection(peft: str) -> SplitQKV:
    """The projection of a block with trained LoRAs on keys and values."""
    vit = timm.create_model("test_vit", num_classes=0).requires_grad_(False)
    model = add_peft_module(peft, vit, [0], seed=0)
    random = torch.Generator().manual_seed(0)
    for name, tensor in model.named_parameters():
        if "lora_" in name:
            tensor.data.add_(0.1 * torch.randn(tensor.shape, generator=random))
    return next(module for module in model.modules() if isinstance(module, SplitQKV))


def tokens() -> torch.Tensor:
    return torch.randn(4, 9, 64, generator=torch.Generator().manual_seed(1))


def each_by_itself(projection: SplitQKV, x: torch.Tensor) -> torch.Tensor:
    """As before: peft and autocast cast the input of each layer."""
    for layer in projection.modules():
        if isinstance(layer, LoraLayer):
            layer.cast_input_dtype_enabled = True
    return torch.cat([projection.q(x), projection.k(x), projection.v(x)], dim=-1)


@pytest.mark.parametrize("peft", ["lora", "lora:scale=true"])
def test_outputs_are_equal_and_gradients_close(peft: str) -> None:
    together, alone = tokens().requires_grad_(), tokens().requires_grad_()
    projection = split_projection(peft)
    with torch.autocast(**BFLOAT16):  # of a tensor that is no leaf: casts of leaves are kept
        output = projection(together * 1)
        expected = each_by_itself(projection, alone * 1)
    assert output.dtype == torch.bfloat16 and torch.equal(output, expected)
    for each in (output, expected):
        each.float().square().sum().backward()
    assert (together.grad - alone.grad).norm() <= 1e-2 * alone.grad.norm()


@pytest.mark.parametrize("peft", ["lora", "lora:scale=true"])
def test_the_input_is_cast_once(peft: str) -> None:
    x, projection = tokens(), split_projection(peft)
    counts = []
    for forward in (projection, lambda x: each_by_itself(projection, x)):
        with torch.autocast(**BFLOAT16), Casts(x.shape) as casts:
            forward(x)
        counts.append(casts.count)
    assert counts == [1, 5]


def test_without_autocast_nothing_is_cast() -> None:
    x, projection = tokens(), split_projection("lora")
    with Casts(x.shape) as casts:
        output = projection(x)
    assert casts.count == 0 and output.dtype == torch.float32
    assert torch.equal(output, each_by_itself(projection, x))


def test_variants_of_peft_cast_their_inputs_themselves() -> None:
    layers = [layer for layer in split_projection("dora").modules() if isinstance(layer, LoraLayer)]
    assert layers and all(layer.cast_input_dtype_enabled for layer in layers)
    layers = [layer for layer in split_projection("lora:use_dora=true").modules() if isinstance(layer, LoraLayer)]
    assert layers and all(layer.cast_input_dtype_enabled for layer in layers)

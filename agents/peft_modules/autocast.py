"""One cast under autocast for an input that several layers share."""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn


def cast_for_products(x: Tensor) -> Tensor:
    """A tensor in the dtype in which autocast computes matrix products; itself where that is off.

    Layers that share it then take it as it is, where each would cast it by itself. Their outputs are the same to the
    bit. Its gradient, a sum over these layers, is summed in the lower precision.
    """
    kind = x.device.type
    wanted = x.dtype == torch.float32 and torch.is_autocast_enabled(kind)
    return x.to(torch.get_autocast_dtype(kind)) if wanted else x


def leave_inputs(backbone: nn.Module) -> None:
    """Let LoRAs take their inputs as they are, in place, where peft casts them to float32 and autocast back again.

    LoRAs of peft's own variants, such as DoRA, stay as they are.
    """
    for layer in backbone.modules():
        if isinstance(layer, LoraLayer) and not _has_variant(layer):
            layer.cast_input_dtype_enabled = False


def _has_variant(layer: Any) -> bool:
    return any(type(variant).__module__.startswith("peft.") for variant in layer.lora_variant.values())

"""Adapter: a bottleneck in parallel to the attention, as in LAE, https://arxiv.org/abs/2303.10070."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from agents.peft_modules.tuner import TunerLayer, full_name
from agents.peft_modules.tuner_builder import TunerBuilder
from cls_env.arguments import whole_number


class AdapterLayer(TunerLayer):
    """Adapter: a bottleneck in parallel to the attention, attn(x) + s up(gelu(down(x))), where s is 1 or learned.

    At first the output is the attention's. Source: LAE, https://arxiv.org/abs/2303.10070.
    """

    target_module = "attn"

    def init_adapter(self, bottleneck: int = 5, scale: bool = False) -> Mapping[str, Any]:
        """Draw down; up and the biases are zero.

        Args:
            bottleneck: Hidden width, at least 1.
            scale: Learn s, a scalar, 1 at first.
        """
        projection = getattr(self.base_layer, "proj", None)
        if not isinstance(projection, nn.Linear):
            raise ValueError(f"an Adapter needs attention with a Linear proj, not {full_name(self.base_layer)}")
        width, bottleneck = projection.out_features, whole_number("bottleneck", bottleneck, least=1)
        down, up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        nn.init.kaiming_uniform_(down.weight, a=math.sqrt(5))
        for tensor in (down.bias, up.weight, up.bias):
            nn.init.zeros_(tensor)
        return {"down": down, "up": up} | ({"scale": torch.ones(())} if scale else {})

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The attention's output with that of the active adapters, [B, N, D]."""
        result = self.base_layer(x, *args, **kwargs)
        for down, up, scale in self.active_parts("down", "up", "scale"):
            change = up(gelu(down(x.to(down.weight.dtype))))
            result = result + (change if scale is None else change * scale).to(result.dtype)
        return result


add_adapter = TunerBuilder("adapter", AdapterLayer)

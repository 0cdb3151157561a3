"""Adapter: a bottleneck beside the attention, as LAE (arXiv 2303.10070) places it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from peft import PeftModel
from torch import Tensor, nn
from torch.nn.functional import gelu

from agents.peft_modules.attachment import wrap
from agents.peft_modules.target_modules import target_pattern
from agents.peft_modules.tuner import (
    Tuner,
    TunerConfig,
    TunerLayer,
    check_size,
    full_name,
    learnable_scale,
    register,
    scaled,
)


@dataclass
class AdapterConfig(TunerConfig):
    """Arguments of an Adapter."""

    bottleneck: int = field(default=5, metadata={"help": "Hidden width."})
    scale: bool = field(default=False, metadata={"help": "Learn a scalar factor, 1 at first."})

    kind: ClassVar[str] = "VIT_ADAPTER"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.bottleneck = check_size("bottleneck", self.bottleneck)


class AdapterLayer(TunerLayer):
    """attn(x) + s up(gelu(down(x))), where up is zero at first, and s is 1 or learnable."""

    adapter_layer_names = ("vit_adapter_down", "vit_adapter_up", "vit_adapter_scale")

    def prepare(self) -> None:
        """Check that the width is known."""
        projection = getattr(self.base_layer, "proj", None)
        if not isinstance(projection, nn.Linear):
            raise ValueError(f"an Adapter goes beside attention with a Linear proj, not {full_name(self.base_layer)}")
        self.width = projection.out_features
        self.vit_adapter_down, self.vit_adapter_up = nn.ModuleDict(), nn.ModuleDict()
        self.vit_adapter_scale = nn.ParameterDict()

    def create(self, adapter_name: str, config: Any) -> None:
        """Draw down; the rest is zero."""
        down, up = nn.Linear(self.width, config.bottleneck), nn.Linear(config.bottleneck, self.width)
        nn.init.kaiming_uniform_(down.weight, a=math.sqrt(5))
        for tensor in (down.bias, up.weight, up.bias):
            nn.init.zeros_(tensor)
        self.vit_adapter_down[adapter_name], self.vit_adapter_up[adapter_name] = down, up
        if config.scale:
            self.vit_adapter_scale[adapter_name] = learnable_scale()

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The attention's output with the active adapters', [B, N, D]."""
        result = self.base_layer(x, *args, **kwargs)
        for name in self.working_adapters:
            down: Any = self.vit_adapter_down[name]
            change = self.vit_adapter_up[name](gelu(down(x.to(down.weight.dtype))))
            result = result + scaled(change, self.vit_adapter_scale, name).to(result.dtype)
        return result


class AdapterModel(Tuner):
    """A ViT with Adapters beside some of its attentions."""

    prefix = "vit_adapter_"
    tuner_layer_cls = AdapterLayer


register(AdapterConfig, AdapterModel)


def add_adapter(
    backbone: nn.Module, blocks: Sequence[int], seed: int, *, bottleneck: int = 5, scale: bool = False
) -> PeftModel:
    """Freeze a timm ViT and put an Adapter beside the attention of some blocks: x + attn(x') + up(gelu(down(x'))).

    x' is the normalised input of the attention. At first the model's outputs are the backbone's.

    Args:
        backbone: A timm VisionTransformer; changed in place.
        blocks: Indices of the transformer blocks.
        seed: Fixes the initial values; the global random state is left as it was.
        bottleneck: Hidden width, at least 1.
        scale: Learn a scalar factor for each Adapter, 1 at first, as LAE does.

    Returns:
        The model as a `peft.PeftModel`.

    Raises:
        ValueError: The size or the blocks do not fit the model.
    """
    pattern = target_pattern(backbone, blocks, "attn")
    return wrap(AdapterConfig, backbone, seed, pattern, {"bottleneck": bottleneck, "scale": scale})

"""VPT-deep: learned tokens that join the image's in a block, and leave after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from peft import PeftModel
from timm.layers import to_2tuple
from torch import Tensor, nn

from agents.peft_modules.attachment import wrap
from agents.peft_modules.target_modules import target_pattern
from agents.peft_modules.tuner import Tuner, TunerConfig, TunerLayer, check_size, full_name, register


@dataclass
class VPTConfig(TunerConfig):
    """Arguments of VPT-deep."""

    length: int = field(default=10, metadata={"help": "Number of prompts."})
    largest: float = field(default=0.1, metadata={"help": "Initial values are drawn from U(-largest, largest)."})

    kind: ClassVar[str] = "VIT_VPT"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.length = check_size("length", self.length)


class VPTLayer(TunerLayer):
    """A block of a ViT, fed with prompts beside the tokens."""

    adapter_layer_names = ("vit_vpt_prompts",)

    def prepare(self) -> None:
        """Check that the width is known, and that attention does not depend on places, of which prompts have none."""
        weight = getattr(getattr(self.base_layer, "norm1", None), "weight", None)
        if weight is None:
            raise ValueError(f"VPT goes before blocks whose norm1 has a weight, not {full_name(self.base_layer)}")
        attention = getattr(self.base_layer, "attn", None)
        if any(getattr(attention, name, None) is not None for name in ("rel_pos", "relative_position_bias_table")):
            raise ValueError("VPT goes with attention that has no relative positions, which prompts lack")
        self.width = len(weight)
        self.vit_vpt_prompts = nn.ParameterDict()

    def create(self, adapter_name: str, config: Any) -> None:
        """Draw the prompts."""
        prompts = torch.empty(config.length, self.width).uniform_(-config.largest, config.largest)
        self.vit_vpt_prompts[adapter_name] = nn.Parameter(prompts)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The block's output for the image's own tokens, [B, N, D].

        Raises:
            ValueError: The model passes a mask, causal attention or positions, which know nothing of prompts, or its
                tokens are not in one row.
        """
        names = self.working_adapters
        if not names:
            return self.base_layer(x, *args, **kwargs)
        if args or x.ndim != 3:
            raise ValueError(
                f"VPT goes with blocks that are passed tokens in one row alone, not {full_name(self.base_layer)}"
            )
        given = [name for name, value in kwargs.items() if value is not None and value is not False]
        if given:
            raise ValueError(
                "VPT goes with blocks that treat all tokens alike: without an attention mask, causal attention or "
                f"relative positions, but the model passes {', '.join(given)}"
            )
        prompts = torch.cat([self.vit_vpt_prompts[name] for name in names]).to(x.dtype)
        joined = torch.cat([x, prompts.expand(len(x), -1, -1)], dim=1)
        return self.base_layer(joined, **kwargs)[:, : x.shape[1]]


class VPTModel(Tuner):
    """A ViT with prompts before some of its blocks."""

    prefix = "vit_vpt_"
    tuner_layer_cls = VPTLayer


register(VPTConfig, VPTModel)


def add_vpt(backbone: nn.Module, blocks: Sequence[int], seed: int, *, length: int = 10) -> PeftModel:
    """Freeze a timm ViT and give some blocks learned prompts of their own, whose outputs the next block does not see.

    Initial values are drawn from U(-v, v), v = sqrt(6 / (3 p^2 + D)) for patches of p x p pixels and width D; the
    model's outputs are not the backbone's at first.
    Source: Jia et al., "Visual Prompt Tuning", ECCV 2022, eq. 5 (deep), and its public code.

    Args:
        backbone: A timm VisionTransformer; changed in place.
        blocks: Indices of the transformer blocks.
        seed: Fixes the initial values; the global random state is left as it was.
        length: Number of prompts of each block, at least 1.

    Returns:
        The model as a `peft.PeftModel`.

    Raises:
        ValueError: The size or the blocks do not fit the model.
    """
    pattern = target_pattern(backbone, blocks, "")
    patch = to_2tuple(getattr(getattr(backbone, "patch_embed", None), "patch_size", 16))
    width: Any = getattr(backbone, "embed_dim", 768)
    largest = math.sqrt(6 / (3 * math.prod(patch) + width))
    return wrap(VPTConfig, backbone, seed, pattern, {"length": length, "largest": largest})

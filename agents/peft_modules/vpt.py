"""VPT-deep: learned tokens that join the image's in a block, and leave after it, https://arxiv.org/abs/2203.12119."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from peft import PeftModel
from timm.layers import to_2tuple
from torch import Tensor, nn

from agents.peft_modules.tuner import TunerLayer, full_name
from agents.peft_modules.tuner_builder import TunerBuilder
from cls_env.arguments import whole_number


class VPTLayer(TunerLayer):
    """A block of a ViT whose input is the image's tokens and learned prompts."""

    target_module = ""
    starts_as_identity = False

    def init_adapter(self, length: int = 10, largest: float = 0.1) -> Mapping[str, Any]:
        """Draw the prompts.

        Args:
            length: Number of prompts, at least 1.
            largest: Initial values are drawn from U(-largest, largest).
        """
        weight = getattr(getattr(self.base_layer, "norm1", None), "weight", None)
        if weight is None:
            raise ValueError(f"VPT goes before blocks whose norm1 has a weight, not {full_name(self.base_layer)}")
        attention = getattr(self.base_layer, "attn", None)
        if any(getattr(attention, name, None) is not None for name in ("rel_pos", "relative_position_bias_table")):
            raise ValueError("VPT requires attention without relative positions, which prompts do not have")
        prompts = torch.empty(whole_number("length", length, least=1), len(weight))
        return {"prompts": prompts.uniform_(-largest, largest)}

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The block's output for the image's own tokens, [B, N, D].

        Raises:
            ValueError: The model passes a mask, causal attention or positions, which do not cover the prompts, or its
                input is not one sequence of tokens.
        """
        active = self.active_parts("prompts")
        if not active:
            return self.base_layer(x, *args, **kwargs)
        if args or x.ndim != 3:
            raise ValueError(
                f"VPT requires blocks whose input is one sequence of tokens, not {full_name(self.base_layer)}"
            )
        given = [name for name, value in kwargs.items() if value is not None and value is not False]
        if given:
            raise ValueError(
                "VPT requires blocks that treat all tokens alike: without an attention mask, causal attention or "
                f"relative positions, but the model passes {', '.join(given)}"
            )
        prompts = torch.cat([prompts for (prompts,) in active]).to(x.dtype)
        joined = torch.cat([x, prompts.expand(x.shape[0], -1, -1)], dim=1)
        return self.base_layer(joined, **kwargs)[:, : x.shape[1]]


_add_prompts = TunerBuilder("vpt", VPTLayer)


def add_vpt(backbone: nn.Module, blocks: Sequence[int], seed: int, *, length: int = 10) -> PeftModel:
    """VPT-deep: learned prompts join the tokens of each of some blocks, and leave after it.

    Initial values are drawn from U(-v, v), v = sqrt(6 / (3 p^2 + D)) for patches of p x p pixels and width D. The
    model's outputs are not the backbone's at first.
    Source: Jia et al., "Visual Prompt Tuning", ECCV 2022, eq. 5 (deep), and its public code,
    https://arxiv.org/abs/2203.12119.

    Args:
        backbone: A timm VisionTransformer; changed in place.
        blocks: Indices of the transformer blocks.
        seed: Fixes the initial values; the global random state does not change.
        length: Number of prompts of each block, at least 1.

    Returns:
        The model as a `peft.PeftModel`.

    Raises:
        ValueError: The size or the blocks do not fit the model.
    """
    patch = to_2tuple(getattr(getattr(backbone, "patch_embed", None), "patch_size", 16))
    width: Any = getattr(backbone, "embed_dim", 768)
    largest = math.sqrt(6 / (3 * math.prod(patch) + width))
    return _add_prompts(backbone, blocks, seed, length=length, largest=largest)

"""LoRA on the keys and values of chosen transformer blocks, as LAE places it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn


class SplitQKV(nn.Module):
    """timm's fused `qkv` projection as three Linear layers of the same weights.

    LAE adapts the key and value rows and leaves the query rows alone. Split, these are ordinary Linear layers, which
    every method of peft can take; the output is the fused layer's.
    """

    def __init__(self, fused: nn.Linear) -> None:
        super().__init__()
        self.q, self.k, self.v = (_rows_of(fused, part) for part in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, D] to [B, N, 3 D], queries, keys and values in this order."""
        return torch.cat([self.q(x), self.k(x), self.v(x)], dim=-1)


def _rows_of(fused: nn.Linear, part: int) -> nn.Linear:
    """One third of a fused projection as a layer of its own."""
    width = fused.out_features // 3
    rows = slice(part * width, (part + 1) * width)
    layer = nn.Linear(fused.in_features, width, bias=fused.bias is not None)
    layer.weight = nn.Parameter(fused.weight.detach()[rows].clone())
    if fused.bias is not None:
        layer.bias = nn.Parameter(fused.bias.detach()[rows].clone())
    return layer


def split_qkv(backbone: nn.Module, blocks: Sequence[int]) -> None:
    """Replace the fused projection of the given blocks, in place.

    Raises:
        ValueError: The model has no such blocks, or they hold no fused `attn.qkv`.
    """
    layers = getattr(backbone, "blocks", None)
    if layers is None:
        raise ValueError(f"{type(backbone).__name__} has no transformer blocks for LoRA; use peft='none'")
    for index in blocks:
        if not 0 <= index < len(layers):
            raise ValueError(
                f"block {index} is out of range: the model has {len(layers)} blocks, 0 ... {len(layers) - 1}"
            )
        attention: Any = getattr(layers[index], "attn", None)
        fused = getattr(attention, "qkv", None)
        if not isinstance(fused, nn.Linear) or hasattr(attention, "q_bias"):
            name = type(backbone).__name__
            raise ValueError(f"block {index} of {name} has no plain fused attn.qkv Linear layer; use 'full' or 'none'")
        attention.qkv = SplitQKV(fused)


def add_lora(backbone: nn.Module, rank: int, blocks: Sequence[int], seed: int) -> PeftModel:
    """Freeze a timm ViT and give the keys and values of some blocks a LoRA each: W + B A, with B = 0 at first.

    There is no alpha / r factor, as in LAE (`lora_alpha` equals the rank).

    Args:
        backbone: A timm VisionTransformer; its `attn.qkv` layers are split in place.
        rank: Rank of B A, at least 1.
        blocks: Indices of the transformer blocks.
        seed: Fixes A; the global random state is left as it was.

    Returns:
        The model as a `peft.PeftModel`.

    Raises:
        ValueError: Rank or blocks do not fit the model.
    """
    if rank < 1:
        raise ValueError(f"a LoRA needs a rank of at least 1, not {rank}")
    if not blocks:
        raise ValueError("LoRA needs at least one transformer block; use peft='none' to train the head alone")
    chosen = "|".join(str(index) for index in sorted(set(blocks)))
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=rf"blocks\.({chosen})\.attn\.qkv\.(k|v)")
    with torch.random.fork_rng(devices=[]):
        split_qkv(backbone, blocks)
        torch.manual_seed(seed)
        return get_peft_model(backbone, config)

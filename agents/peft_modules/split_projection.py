"""The fused projection of timm's attention as three layers, so that keys and values alone can get a PEFT module."""

from __future__ import annotations

import torch
from peft.tuners.lora import LoraLayer
from timm.layers.attention import Attention
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from agents.peft_modules.autocast import cast_for_products
from agents.peft_modules.hooks import has_hooks


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
        return torch.cat(self.parts(x), dim=-1)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of x [B, N, D], each of shape (B, N, width of the attention)."""
        layers = (self.q, self.k, self.v)
        if all(type(layer) is nn.Linear or isinstance(layer, LoraLayer) for layer in layers):
            x = cast_for_products(x)  # other modules may compute in float32
        return self.q(x), self.k(x), self.v(x)


class SplitAttention(Attention):
    """timm's `Attention` with a split projection, whose parts it takes as they are.

    timm's own forward pass would join them and take them apart again, which costs 6 % of a training step of the
    embedded ViT for characters. The outputs are the same to the bit, and the gradients up to rounding.
    """

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """[B, N, D] to [B, N, D]. For the arguments see timm's `Attention`."""
        projection: nn.Module = self.qkv
        gate = getattr(self, "gate", None)  # an older timm has none
        plain = self.fused_attn and gate is None and not has_hooks(projection)
        if not plain or not isinstance(projection, SplitQKV):
            whole: Tensor = super().forward(x, attn_mask=attn_mask, is_causal=is_causal)
            return whole
        parts: tuple[Tensor, ...] = projection.parts(x)
        if len({part.dtype for part in parts}) > 1:
            parts = torch.cat(parts, dim=-1).tensor_split(3, dim=-1)  # in the wider dtype
        queries, keys, values = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in parts)
        attended = scaled_dot_product_attention(
            self.q_norm(queries),
            self.k_norm(keys),
            values,
            attn_mask=attn_mask,
            dropout_p=self.attn_drop.p if self.training else 0.0,
            is_causal=is_causal,
        )
        out: Tensor = self.proj_drop(self.proj(self.norm(attended.transpose(1, 2).flatten(2))))
        return out


def _rows_of(fused: nn.Linear, part: int) -> nn.Linear:
    """One third of a fused projection as a layer of its own."""
    width = fused.out_features // 3
    rows = slice(part * width, (part + 1) * width)
    layer = nn.Linear(fused.in_features, width, bias=fused.bias is not None)
    layer.weight = nn.Parameter(fused.weight.detach()[rows].clone())
    if fused.bias is not None:
        layer.bias = nn.Parameter(fused.bias.detach()[rows].clone())
    return layer

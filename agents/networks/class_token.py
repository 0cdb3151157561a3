"""The last block of a ViT, computed for the class token alone where nothing else is used of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from timm.layers import LayerNorm, Mlp
from timm.layers.attention import Attention
from timm.models.vision_transformer import Block, LayerScale, VisionTransformer
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from agents.networks.base_model import base_model
from agents.peft_modules.hooks import has_hooks

PLAIN = (Block, Attention, Mlp, LayerScale, nn.Linear, nn.Identity, nn.Dropout, nn.GELU)


class ClassTokenBlock(Block):
    """timm's `Block`, which can leave out the outputs of all tokens but the first.

    Queries, projection and MLP are then computed for one token, keys and values for all. This saves most of the block:
    7 % of a ViT-B/16, and 13 % of the embedded micro ViT. The result is that of the whole block up to rounding.

    Attributes:
        class_token_only: Whether the output has the first token alone.
    """

    class_token_only: bool = False

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """Tokens of shape (B, N, D), or (B, 1, D) with `class_token_only`."""
        if not self.class_token_only:
            whole: Tensor = super().forward(x, attn_mask=attn_mask, is_causal=is_causal)
            return whole
        first = x[:, :1] + self.drop_path1(self.ls1(self._attend(self.norm1(x))))
        out: Tensor = first + self.drop_path2(self.ls2(self.mlp(self.norm2(first))))
        return out

    def _attend(self, tokens: Tensor) -> Tensor:
        """The attention's output for the first token, shape (B, 1, D)."""
        attention: Any = self.attn
        batch, count, width = tokens.shape[0], tokens.shape[1], attention.attn_dim
        heads = attention.num_heads
        weight, bias = attention.qkv.weight, attention.qkv.bias
        of_queries, of_others = (None, None) if bias is None else (bias[:width], bias[width:])
        queries = linear(tokens[:, 0], weight[:width], of_queries).view(batch, 1, heads, -1).transpose(1, 2)
        others = linear(tokens, weight[width:], of_others).view(batch, count, 2, heads, -1).permute(2, 0, 3, 1, 4)
        keys, values = others.unbind(0)
        dropout = attention.attn_drop.p if attention.training else 0.0
        attended = scaled_dot_product_attention(
            attention.q_norm(queries), attention.k_norm(keys), values, dropout_p=dropout
        )
        joined = attention.norm(attended.transpose(1, 2).reshape(batch, 1, width))
        out: Tensor = attention.proj_drop(attention.proj(joined))
        return out


def prepare_last_block(backbone: nn.Module) -> None:
    """Make the last block of a timm `VisionTransformer` a `ClassTokenBlock`, in place; weights and names stay."""
    blocks: Any = getattr(backbone, "blocks", None)
    if type(backbone) is VisionTransformer and type(blocks[-1]) is Block:
        blocks[-1].__class__ = ClassTokenBlock


@contextmanager
def class_token_alone(backbone: nn.Module) -> Iterator[None]:
    """A context in which the last block is computed for the class token alone, if nothing else of it is used.

    That is so for a timm `VisionTransformer` that pools the class token, whose last block, and what comes after it, has
    neither a PEFT module nor a hook.

    Args:
        backbone: With or without a PEFT module.
    """
    vit = base_model(backbone)
    block = vit.blocks[-1] if isinstance(vit, VisionTransformer) else None
    if not isinstance(block, ClassTokenBlock) or not _pools_class_token(vit) or not _is_plain(block):
        yield
        return
    after = (vit.norm, vit.fc_norm, vit.head_drop)
    if has_hooks(backbone, vit, vit.blocks, *after) or not all(_is_plain_layer(module) for module in after):
        yield
        return
    block.class_token_only = True
    try:
        yield
    finally:
        block.class_token_only = False


def _pools_class_token(vit: Any) -> bool:
    return bool(vit.global_pool == "token" and vit.attn_pool is None and vit.num_prefix_tokens > 0)


def _is_plain(block: ClassTokenBlock) -> bool:
    attention: Any = block.attn
    if getattr(attention, "gate", None) is not None or not getattr(attention, "fused_attn", False):
        return False
    modules = list(block.modules())
    return not has_hooks(*modules) and all(
        isinstance(module, ClassTokenBlock) or _is_plain_layer(module) for module in modules
    )


def _is_plain_layer(module: nn.Module) -> bool:
    return type(module) in (*PLAIN, nn.LayerNorm, LayerNorm)

"""Prefix: learned keys and values in the attention, as in LAE, https://arxiv.org/abs/2303.10070."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from timm.models.vision_transformer import Attention
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from agents.peft_modules.split_projection import SplitAttention
from agents.peft_modules.tuner import TunerLayer, full_name
from agents.peft_modules.tuner_builder import TunerBuilder
from cls_env.arguments import whole_number

LARGEST_INITIAL_VALUE = 0.01


class PrefixLayer(TunerLayer):
    """Prefix: learned keys and values in the attention, to which every token attends in addition to the image's own.

    They enter after the projection to keys and values, and after the norm of keys in models that have one. If one of
    several active adapters is compensatory, the weights of all their prefixes sum to 1 together. The model's outputs
    are not the backbone's at first: a prefix takes a share of the attention.
    Source: LAE, https://arxiv.org/abs/2303.10070.
    """

    target_module = "attn"
    starts_as_identity = False

    def init_adapter(self, length: int = 10, scale: bool = False, compensatory: bool = False) -> Mapping[str, Any]:
        """Draw keys and values from U(0, 0.01), as LAE does.

        Args:
            length: Number of keys, and of values, at least 1.
            scale: Learn a scalar factor of the keys and one of the values, 1 at first.
            compensatory: LAE's compensation: the weights of the prefix sum to 1 by themselves.
        """
        check_plain_attention(self.base_layer, "a Prefix")
        shape = whole_number("length", length, least=1), self.base_layer.num_heads * self.base_layer.head_dim
        parts: dict[str, Any] = {name: torch.rand(*shape) * LARGEST_INITIAL_VALUE for name in ("k", "v")}
        if scale:
            parts |= {"scale_k": torch.ones(()), "scale_v": torch.ones(())}
        return parts | {"compensatory": compensatory}

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """The attention's output, [B, N, D].

        Raises:
            ValueError: Attention is to be causal, which has no meaning for a prefix of an image.
        """
        active = self.active_parts("k", "v", "scale_k", "scale_v", "compensatory")
        if not active:
            causal = {"is_causal": True} if is_causal else {}  # an argument that older versions of timm lack
            return self.base_layer(x, attn_mask=attn_mask, **causal)
        if is_causal:
            raise ValueError("a Prefix requires attention over all tokens, not causal attention")
        prefix_k = torch.cat([k if scale_k is None else k * scale_k for k, _, scale_k, _, _ in active])
        prefix_v = torch.cat([v if scale_v is None else v * scale_v for _, v, _, scale_v, _ in active])
        k, v = (prefix.expand(x.shape[0], -1, -1) for prefix in (prefix_k, prefix_v))
        return attend_with_prefix(self.base_layer, x, k, v, attn_mask, any(parts[-1] for parts in active))


def check_plain_attention(attention: nn.Module, what: str) -> None:
    """Check that a module is an attention that `attend_with_prefix` can compute.

    Args:
        attention: The module.
        what: Would go into it, for the message.

    Raises:
        ValueError: It is neither timm's plain one nor a `SplitAttention`; other subclasses may compute something else.
    """
    if type(attention).forward not in (Attention.forward, SplitAttention.forward):
        raise ValueError(f"{what} goes into timm's plain Attention, not into {full_name(attention)}")


def attend_with_prefix(
    attention: nn.Module,
    x: Tensor,
    prefix_k: Tensor,
    prefix_v: Tensor,
    mask: Tensor | None = None,
    compensatory: bool = False,
) -> Tensor:
    """The output of timm's plain attention where tokens attend to further keys and values.

    Args:
        attention: Of timm; it has passed `check_plain_attention`.
        x: Tokens, [B, N, D].
        prefix_k: Further keys of each image, as after projection and norm, [B, L, D].
        prefix_v: Their values, [B, L, D].
        mask: Of the tokens, as timm passes it.
        compensatory: LAE's compensation: weights of the prefix sum to 1 by themselves.

    Returns:
        The attention's output, [B, N, D].
    """
    base: Any = attention
    batch, tokens, _ = x.shape
    heads, width = base.num_heads, base.head_dim
    q, k, v = base.qkv(x).reshape(batch, tokens, 3, heads, width).permute(2, 0, 3, 1, 4).unbind(0)
    q, k = base.q_norm(q), base.k_norm(k)
    length = prefix_k.shape[1]
    mask = _with_prefix(mask, length)
    k = torch.cat([prefix_k.to(k.dtype).unflatten(2, (heads, width)).transpose(1, 2), k], dim=2)
    v = torch.cat([prefix_v.to(v.dtype).unflatten(2, (heads, width)).transpose(1, 2), v], dim=2)
    if compensatory:
        joined = _compensatory_attention(base, q, k, v, mask, length)
    elif base.fused_attn:
        dropout = base.attn_drop.p if base.training else 0.0
        joined = scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
    else:
        joined = base.attn_drop(_scores(base, q, k, mask).softmax(dim=-1)) @ v
    return _project(base, x, joined.transpose(1, 2).reshape(batch, tokens, heads * width))


def _scores(base: Any, q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    scores = (q * base.scale) @ k.transpose(-2, -1)
    if mask is None:
        return scores
    return scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask


def _compensatory_attention(base: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, length: int) -> Tensor:
    """After the common softmax the weights of the prefix are divided by their sum; those of the tokens stay.

    That is a softmax over the prefix alone. Source: LAE's public code; rows of weights sum to more than 1.
    """
    scores = _scores(base, q, k, mask)
    weights = torch.cat([scores[..., :length].softmax(dim=-1), scores.softmax(dim=-1)[..., length:]], dim=-1)
    return base.attn_drop(weights) @ v


def _with_prefix(mask: Tensor | None, length: int) -> Tensor | None:
    """A mask of the tokens, widened so that every one may attend to the prefix."""
    return None if mask is None else pad(mask, (length, 0), value=True if mask.dtype == torch.bool else 0.0)


def _project(base: Any, x: Tensor, joined: Tensor) -> Tensor:
    """What follows the sum of values; some of timm's models have a norm or a gate there, older versions neither."""
    joined = base.norm(joined) if hasattr(base, "norm") else joined
    gate = getattr(base, "gate", None)
    return base.proj_drop(base.proj(joined if gate is None else joined * gate(x).sigmoid()))


add_prefix = TunerBuilder("prefix", PrefixLayer)

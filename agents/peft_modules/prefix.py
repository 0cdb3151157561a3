"""Prefix: learned keys and values that every token attends to beside the image's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from peft import PeftModel
from timm.models.vision_transformer import Attention
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

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

LARGEST_INITIAL_VALUE = 0.01


@dataclass
class PrefixConfig(TunerConfig):
    """Arguments of a Prefix."""

    length: int = field(default=10, metadata={"help": "Number of keys, and of values."})
    scale: bool = field(default=False, metadata={"help": "Learn a scalar factor of each, 1 at first."})
    compensatory: bool = field(default=False, metadata={"help": "Weights of the prefix sum to 1 by themselves."})

    kind: ClassVar[str] = "VIT_PREFIX"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.length = check_size("length", self.length)


class PrefixLayer(TunerLayer):
    """timm's attention over the image's keys and values and those of the active prefixes.

    The prefixes enter after the projection to keys and values, and after the norm of keys in models that have one. If
    one of several active adapters is compensatory, the weights of all their prefixes sum to 1 together.
    """

    adapter_layer_names = ("vit_prefix_k", "vit_prefix_v", "vit_prefix_scale_k", "vit_prefix_scale_v")

    def prepare(self) -> None:
        """Check that the attention is timm's plain one."""
        base: Any = self.base_layer
        check_plain_attention(base, "a Prefix")
        self.width = base.num_heads * base.head_dim
        self.compensatory: dict[str, bool] = {}
        self.vit_prefix_k, self.vit_prefix_v = nn.ParameterDict(), nn.ParameterDict()
        self.vit_prefix_scale_k, self.vit_prefix_scale_v = nn.ParameterDict(), nn.ParameterDict()

    def create(self, adapter_name: str, config: Any) -> None:
        """Draw keys and values from U(0, 0.01), as LAE does."""
        for values in (self.vit_prefix_k, self.vit_prefix_v):
            values[adapter_name] = nn.Parameter(torch.rand(config.length, self.width) * LARGEST_INITIAL_VALUE)
        if config.scale:
            self.vit_prefix_scale_k[adapter_name] = learnable_scale()
            self.vit_prefix_scale_v[adapter_name] = learnable_scale()
        self.compensatory[adapter_name] = config.compensatory

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """The attention's output, [B, N, D].

        Raises:
            ValueError: Attention is to be causal, which has no meaning for a prefix of an image.
        """
        names = self.working_adapters
        if not names:
            causal = {"is_causal": True} if is_causal else {}  # an argument that older versions of timm lack
            return self.base_layer(x, attn_mask=attn_mask, **causal)
        if is_causal:
            raise ValueError("a Prefix goes with attention over all tokens, not with causal attention")
        base: Any = self.base_layer
        prefix_k = self._prefixes(names, self.vit_prefix_k, self.vit_prefix_scale_k, x)
        prefix_v = self._prefixes(names, self.vit_prefix_v, self.vit_prefix_scale_v, x)
        compensatory = any(self.compensatory[name] for name in names)
        return attend_with_prefix(base, x, prefix_k, prefix_v, attn_mask, compensatory)

    def _prefixes(self, names: Sequence[str], values: Any, scales: Any, x: Tensor) -> Tensor:
        """Those of the active adapters one after the other, [B, length, D]."""
        joined = torch.cat([scaled(values[name], scales, name) for name in names])
        return joined.expand(len(x), -1, -1)


def check_plain_attention(attention: nn.Module, what: str) -> None:
    """Check that a module is an attention that `attend_with_prefix` can compute.

    Args:
        attention: The module.
        what: Would go into it, for the message.

    Raises:
        ValueError: It is not timm's plain one; a subclass may compute something else.
    """
    if type(attention).forward is not Attention.forward:
        raise ValueError(f"{what} goes into timm's plain Attention, not into {full_name(attention)}")


def attend_with_prefix(
    attention: nn.Module,
    x: Tensor,
    prefix_k: Tensor,
    prefix_v: Tensor,
    mask: Tensor | None = None,
    compensatory: bool = False,
) -> Tensor:
    """The output of timm's plain attention where tokens attend to further keys and values beside their own.

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


class PrefixModel(Tuner):
    """A ViT with prefixes in some of its attentions."""

    prefix = "vit_prefix_"
    tuner_layer_cls = PrefixLayer


register(PrefixConfig, PrefixModel)


def add_prefix(
    backbone: nn.Module,
    blocks: Sequence[int],
    seed: int,
    *,
    length: int = 10,
    scale: bool = False,
    compensatory: bool = False,
) -> PeftModel:
    """Freeze a timm ViT and give the attention of some blocks learned keys and values, as LAE does.

    The model's outputs are not the backbone's at first: a prefix takes a share of the attention.

    Args:
        backbone: A timm VisionTransformer; changed in place.
        blocks: Indices of the transformer blocks.
        seed: Fixes the initial values; the global random state is left as it was.
        length: Number of keys, and of values, at least 1.
        scale: Learn a scalar factor of the keys and one of the values, 1 at first.
        compensatory: LAE's compensation: the attention to the prefix sums to 1 by itself, beside that to the tokens.

    Returns:
        The model as a `peft.PeftModel`.

    Raises:
        ValueError: The size or the blocks do not fit the model.
    """
    pattern = target_pattern(backbone, blocks, "attn")
    arguments = {"length": length, "scale": scale, "compensatory": compensatory}
    return wrap(PrefixConfig, backbone, seed, pattern, arguments)

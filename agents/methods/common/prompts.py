"""Prompts for each image: keys and values within attention, or tokens before the first block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from agents.peft_modules.prefix import attend_with_prefix, check_plain_attention
from agents.peft_modules.target_modules import child_pattern
from agents.peft_modules.tuner import full_name


class PromptedAttention(nn.Module):
    """timm's attention with further keys and values for each image.

    Attributes:
        base_layer: The attention.
        projected: Whether prompts go through the frozen projections to keys and values, as tokens do, or stand for
            keys and values themselves.
        prompts: Keys and values, each [B, L, D], while a `with_prompts` context lasts; else None.
    """

    def __init__(self, attention: nn.Module, projected: bool) -> None:
        super().__init__()
        check_plain_attention(attention, "a prompt")
        self.base_layer = attention
        self.projected = projected
        self.prompts: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """The attention's output, [B, N, D].

        Raises:
            ValueError: There are prompts, and attention is to be causal.
        """
        if self.prompts is None:
            causal = {"is_causal": True} if is_causal else {}  # an argument that older versions of timm lack
            return self.base_layer(x, attn_mask=attn_mask, **causal)
        if is_causal:
            raise ValueError("prompts require attention over all tokens, not causal attention")
        keys, values = self.prompts
        if self.projected:
            keys, values = self._project(keys, part=1), self._project(values, part=2)
        return attend_with_prefix(self.base_layer, x, keys, values, attn_mask)

    def _project(self, prompts: Tensor, part: int) -> Tensor:
        base: Any = self.base_layer
        width = base.num_heads * base.head_dim
        rows = slice(part * width, (part + 1) * width)
        bias = base.qkv.bias
        projected = linear(prompts, base.qkv.weight[rows], None if bias is None else bias[rows])
        if part == 1:
            heads = projected.unflatten(2, (base.num_heads, base.head_dim))
            projected = base.k_norm(heads.transpose(1, 2)).transpose(1, 2).flatten(2)
        return projected


def wrap_attention(backbone: nn.Module, blocks: Sequence[int], projected: bool) -> None:
    """Let the attention of some blocks take prompts, in place; without prompts the output is unchanged.

    Raises:
        ValueError: There are no such blocks, or their attention is not timm's plain one.
    """
    child_pattern(backbone, blocks, "attn")
    layers: Any = backbone.blocks
    for block in blocks:
        layers[block].attn = PromptedAttention(layers[block].attn, projected)


@contextmanager
def with_prompts(backbone: nn.Module, prompts: Mapping[int, tuple[Tensor, Tensor]]) -> Iterator[None]:
    """A context in which blocks attend to prompts.

    Args:
        backbone: With `wrap_attention` in these blocks.
        prompts: By block, keys and values of each image, each [B, L, D].
    """
    layers: Any = backbone.blocks
    try:
        for block, pair in prompts.items():
            layers[block].attn.prompts = pair
        yield
    finally:
        for block in prompts:
            layers[block].attn.prompts = None


def features_with_prompt_tokens(backbone: nn.Module, inputs: Tensor, prompts: Tensor, head: str) -> Tensor:
    """Features of images with prompt tokens inserted between class token and patches.

    Args:
        backbone: A timm VisionTransformer that has passed `check_tokens`.
        inputs: Preprocessed images, [B, 3, h, w].
        prompts: Tokens of each image, without positions, [B, L, D].
        head: Which outputs of the last block are the features: `"prompts"`, the mean over the prompt tokens, or
            `"cls"`, the class token, or what else the backbone pools.

    Returns:
        Shape (B, D).
    """
    vit: Any = backbone
    first = vit.num_prefix_tokens
    length = prompts.shape[1]

    def insert(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        tokens, *others = inputs
        return torch.cat([tokens[:, :first], prompts.to(tokens.dtype), tokens[:, first:]], dim=1), *others

    handle = vit.blocks[0].register_forward_pre_hook(insert)
    try:
        tokens = vit.forward_features(inputs)
    finally:
        handle.remove()
    if head == "prompts":
        return vit.fc_norm(tokens[:, first : first + length].mean(dim=1))
    without_prompts = torch.cat([tokens[:, :first], tokens[:, first + length :]], dim=1)
    return vit.forward_head(without_prompts, pre_logits=True)


def check_tokens(backbone: nn.Module) -> None:
    """Check that prompt tokens can join those of a model.

    Raises:
        ValueError: It is not a timm ViT with one sequence of tokens and absolute position embeddings.
    """
    known = ("blocks", "forward_features", "forward_head", "num_prefix_tokens", "fc_norm", "pos_embed")
    if any(getattr(backbone, name, None) is None for name in known):
        raise ValueError(f"prompt tokens go into a timm VisionTransformer, not into {full_name(backbone)}")


def similarity(queries: Tensor, keys: Tensor) -> Tensor:
    """Cosine of each query with each key, computed in float32: (B, D) and (M, D) to (B, M)."""
    with torch.autocast(queries.device.type, enabled=False):
        return normalize(queries, dim=1) @ normalize(keys, dim=1).T


def uniform(shape: Sequence[int], seed: int, largest: float, positive: bool = False) -> Tensor:
    """Draw values from U[-largest, largest), or from U[0, largest); the global random state stays as it was."""
    drawn = torch.rand(*shape, generator=torch.Generator().manual_seed(seed))
    return (drawn if positive else 2 * drawn - 1) * largest


def seeds_of(seed: int, count: int) -> list[int]:
    """Independent seeds for several draws."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(count)]

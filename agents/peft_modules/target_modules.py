"""Which layers of the transformer blocks of a timm ViT get a PEFT module."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from timm.layers.attention import Attention
from torch import nn

from agents.peft_modules.split_projection import SplitAttention, SplitQKV
from cls_env.specification import lookup

TARGETS: dict[str, tuple[str, ...]] = {
    "kv": ("attn.qkv.k", "attn.qkv.v"),
    "q": ("attn.qkv.q",),
    "k": ("attn.qkv.k",),
    "v": ("attn.qkv.v",),
    "qkv": ("attn.qkv",),
    "proj": ("attn.proj",),
    "fc1": ("mlp.fc1",),
    "fc2": ("mlp.fc2",),
    "attention": ("attn.qkv", "attn.proj"),
    "mlp": ("mlp.fc1", "mlp.fc2"),
    "linear": ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"),
    "norms": ("norm1", "norm2"),
}
"""Layers of a block by the name of the place; `kv` is where LAE (arXiv 2303.10070) puts its modules."""


def split_qkv(backbone: nn.Module, blocks: Sequence[int]) -> None:
    """Replace the fused projection of the given blocks, in place.

    Raises:
        ValueError: The model has no such blocks, or they hold no fused `attn.qkv`.
    """
    with torch.random.fork_rng(devices=[]):  # a new Linear layer draws initial values
        for index, block in _chosen(backbone, blocks):
            block.attn.qkv = SplitQKV(_layer(backbone, index, block, "attn.qkv"))
            if type(block.attn) is Attention:
                block.attn.__class__ = SplitAttention


def target_pattern(backbone: nn.Module, blocks: Sequence[int], targets: str) -> str:
    """A pattern of the names of the layers that get a module, for the `target_modules` of a peft config.

    Args:
        backbone: A timm VisionTransformer; for `q`, `k` and `v`, its `attn.qkv` layers in these blocks are split in
            place.
        blocks: Indices of the transformer blocks.
        targets: A name in `TARGETS`, or several, as in `"kv+fc2"`.

    Returns:
        A regular expression that matches the full name of each such layer and of no other.

    Raises:
        ValueError: No blocks are given, the model has no such blocks, the place is unknown, or a block lacks it.
    """
    layers = [layer for name in targets.split("+") for layer in lookup("place in a block", name, TARGETS)]
    if any(layer.startswith("attn.qkv.") for layer in layers):
        if "attn.qkv" in layers:
            raise ValueError(f"{targets!r} asks for attn.qkv as a whole and taken apart; leave one of the two out")
        split_qkv(backbone, blocks)
    for index, block in _chosen(backbone, blocks):
        for layer in layers:
            _layer(backbone, index, block, layer)
    return rf"{_blocks_pattern(blocks)}\.({'|'.join(re.escape(layer) for layer in dict.fromkeys(layers))})"


def child_pattern(backbone: nn.Module, blocks: Sequence[int], child: str) -> str:
    """A pattern of the names of one child module of each block, such as `attn`.

    Args:
        backbone: A timm VisionTransformer.
        blocks: Indices of the transformer blocks.
        child: Name of the child; empty for the blocks themselves.

    Raises:
        ValueError: No blocks are given, the model has no such blocks, or a block lacks the child.
    """
    for index, block in _chosen(backbone, blocks):
        if child and not isinstance(getattr(block, child, None), nn.Module):
            raise ValueError(f"block {index} of {type(backbone).__name__} has no {child}; use peft='full' or 'none'")
    return _blocks_pattern(blocks) + (rf"\.{re.escape(child)}" if child else "")


def _blocks_pattern(blocks: Sequence[int]) -> str:
    return rf"blocks\.({'|'.join(str(index) for index in sorted(set(blocks)))})"


def _chosen(backbone: nn.Module, blocks: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """The blocks of these indices, each once."""
    if not blocks:
        raise ValueError("a PEFT module needs at least one transformer block; use peft='none' to train the head alone")
    layers: Any = getattr(backbone, "blocks", None)
    if layers is None:
        raise ValueError(
            f"{type(backbone).__name__} has no transformer blocks for a PEFT module; use peft='full' or 'none'"
        )
    for index in dict.fromkeys(blocks):
        if not 0 <= index < len(layers):
            raise ValueError(
                f"block {index} is out of range: the model has {len(layers)} blocks, 0 ... {len(layers) - 1}"
            )
        yield index, layers[index]


def _layer(backbone: nn.Module, index: int, block: nn.Module, path: str) -> Any:
    """A layer of a block, which its outputs pass through."""
    layer: Any = block
    for part in path.split("."):
        layer = getattr(layer, part, None)
    name = type(backbone).__name__
    if path == "attn.qkv" and (
        not isinstance(layer, nn.Linear) or getattr(getattr(block, "attn", None), "q_bias", None) is not None
    ):
        # with a q_bias of its own, the attention reads the layer's weight and never calls the layer
        raise ValueError(f"block {index} of {name} has no plain fused attn.qkv Linear layer; name another place")
    if path.startswith("norm") and (layer is None or getattr(layer, "weight", None) is None):
        raise ValueError(f"block {index} of {name} has no {path} with a weight to learn; name another place")
    if not path.startswith("norm") and not isinstance(layer, nn.Linear):
        raise ValueError(f"block {index} of {name} has no Linear layer {path}; name another place")
    return layer

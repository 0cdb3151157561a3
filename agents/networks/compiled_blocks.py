"""Compilation of a backbone's transformer blocks."""

from __future__ import annotations

from typing import Any

import torch._dynamo
from torch import nn

from agents.networks.base_model import base_model

MOST_VARIANTS = 32
"""The most variants of a block: with and without gradients, in training and at test, with and without prompts."""


def compile_blocks(backbone: nn.Module, backend: str = "inductor") -> None:
    """Compile each transformer block of a timm model in place, unless it is compiled already.

    Names, classes and weights stay, so that saving, loading and merging work as before. Blocks are compiled when they
    are first used, once for all blocks of the same form; the head, which grows, is not compiled. Hooks that are added
    later are noticed. Copies of the backbone are not compiled.

    Args:
        backbone: With or without a PEFT module.
        backend: Of `torch.compile`.

    Raises:
        ValueError: The model has no `blocks`.
    """
    vit = base_model(backbone)
    if not isinstance(getattr(vit, "blocks", None), nn.Sequential):
        raise ValueError(f"compile=True compiles the blocks of a timm ViT, and {type(vit).__name__} has none")
    _prepare_dynamo()
    for block in vit.blocks:
        if block._compiled_call_impl is None:
            block.compile(dynamic=False, backend=backend)


def undo_compilation(backbone: nn.Module) -> None:
    """Let the blocks that `compile_blocks` compiled run as before."""
    for block in getattr(base_model(backbone), "blocks", ()):
        block._compiled_call_impl = None


def _prepare_dynamo() -> None:
    config: Any = torch._dynamo.config
    limit = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"  # before PyTorch 2.6
    setattr(config, limit, max(getattr(config, limit), MOST_VARIANTS))
    config.skip_nnmodule_hook_guards = False  # else hooks that a method adds later would be passed over

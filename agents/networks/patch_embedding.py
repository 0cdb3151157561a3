"""The patch embeddings of images, which stay the same where nothing before a ViT's blocks is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from timm.layers import PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from agents.networks.base_model import base_model
from agents.peft_modules.hooks import has_hooks


def plain_vit(backbone: nn.Module) -> VisionTransformer | None:
    """The timm `VisionTransformer` in a backbone whose patch embeddings are tokens of shape (B, N, D).

    None if there is none, or if hooks may read or change images or patch embeddings.

    Args:
        backbone: With or without a PEFT module.
    """
    vit = base_model(backbone)
    if type(vit) is not VisionTransformer:
        return None
    embedding = vit.patch_embed
    plain = isinstance(embedding, PatchEmbed) and embedding.flatten
    return vit if plain and not has_hooks(backbone, vit, *embedding.modules()) else None


@contextmanager
def patches_given(backbone: nn.Module, given: bool) -> Iterator[None]:
    """A context in which a backbone takes patch embeddings in place of images, if they are given.

    Args:
        backbone: One that has a `plain_vit`.
        given: Whether they are.
    """
    vit: Any = plain_vit(backbone) if given else None
    if vit is None:
        yield
        return
    embedding, vit.patch_embed = vit.patch_embed, nn.Identity()
    try:
        yield
    finally:
        vit.patch_embed = embedding

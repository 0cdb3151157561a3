"""VPT's initial values, and its requirements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from agents.peft_modules.vpt import VPTLayer, add_vpt

MakeViT = Callable[..., nn.Module]


def test_initial_values_are_the_papers(make_vit: MakeViT) -> None:
    model = add_vpt(make_vit(), [0, 1], seed=0, length=50)
    prompts = torch.cat([tensor.flatten() for tensor in model.parameters() if tensor.requires_grad])
    bound = (6 / (3 * 8 * 8 + 32)) ** 0.5
    assert len(prompts) == 2 * 50 * 32
    assert 0.99 * bound < prompts.max() <= bound and -bound <= prompts.min() < -0.99 * bound
    assert abs(prompts.mean()) < 0.05 * bound


def test_what_the_model_passes_to_its_blocks_is_refused_or_handed_on() -> None:
    given: list[dict[str, Any]] = []

    class ListeningBlock(Block):
        def forward(self, x: Tensor, **kwargs: Any) -> Tensor:
            given.append(kwargs)
            return super().forward(x)

    layer, x = VPTLayer(ListeningBlock(8, 2), "default", VPTLayer.config_class(length=3)), torch.randn(2, 5, 8)
    layer(x, attn_mask=None, is_causal=False)
    with pytest.raises(ValueError, match="the model passes is_causal"):
        layer(x, attn_mask=None, is_causal=True)
    layer.enable_adapters(False)
    mask = torch.zeros(5, 5)
    layer(x, attn_mask=mask)
    assert given[0] == {"attn_mask": None, "is_causal": False}
    assert given[1].keys() == {"attn_mask"} and given[1]["attn_mask"] is mask


@pytest.mark.parametrize("model", ["beit_base_patch16_224", "vit_relpos_small_patch16_224"])
def test_relative_positions_are_refused(model: str) -> None:
    backbone = timm.create_model(model, depth=1, embed_dim=24, num_heads=2, num_classes=0)
    with pytest.raises(ValueError, match=r"^blocks\.0: VPT requires attention without relative positions"):
        add_vpt(backbone, [0], seed=0)


def test_tokens_that_are_not_in_one_row_are_refused() -> None:
    size = {"img_size": 32, "depth": 1, "embed_dim": 32, "num_heads": 2, "num_classes": 0}
    for name in ("samvit_base_patch16_224", "xcit_nano_12_p16_224"):  # a map of tokens; height and width beside them
        model = add_vpt(timm.create_model(name, **size).eval(), [0], seed=0)
        with pytest.raises(ValueError, match="one sequence of tokens, not timm"):
            model(torch.zeros(1, 3, 32, 32))


def test_rotary_positions_are_refused() -> None:
    backbone = timm.create_model(
        "eva02_tiny_patch14_224", img_size=16, patch_size=8, depth=1, embed_dim=32, num_heads=2, num_classes=0
    )
    model = add_vpt(backbone.eval(), [0], seed=0)
    with pytest.raises(ValueError, match="the model passes rope"):
        model(torch.zeros(1, 3, 16, 16))

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import timm
import torch
from torch import nn

from agents.peft_modules.split_projection import SplitQKV
from agents.peft_modules.target_modules import TARGETS, split_qkv, target_pattern

MakeViT = Callable[..., nn.Module]


def matched(vit: nn.Module, pattern: str) -> list[str]:
    return [name for name, _ in vit.named_modules() if re.fullmatch(pattern, name)]


def test_split_projection_equals_the_fused_one() -> None:
    x = torch.randn(2, 5, 16)
    for bias in (True, False):
        fused = nn.Linear(16, 48, bias=bias)
        torch.testing.assert_close(SplitQKV(fused)(x), fused(x))


@pytest.mark.parametrize("targets", TARGETS)
def test_pattern_matches_the_layers_of_the_chosen_blocks(targets: str, make_vit: MakeViT) -> None:
    vit = make_vit(depth=12)
    expected = [f"blocks.{block}.{layer}" for block in (1, 11) for layer in TARGETS[targets]]
    assert sorted(matched(vit, target_pattern(vit, [11, 1, 1], targets))) == sorted(expected)


def test_places_add_up(make_vit: MakeViT) -> None:
    vit = make_vit()
    layers = ["blocks.0.attn.qkv.k", "blocks.0.attn.qkv.v", "blocks.0.attn.proj", "blocks.0.mlp.fc2"]
    assert matched(vit, target_pattern(vit, (0,), "kv+proj+fc2+v")) == layers


def test_only_the_blocks_that_need_it_are_split(make_vit: MakeViT) -> None:
    vit = make_vit()
    target_pattern(vit, [0, 1], "linear")
    assert not any(isinstance(module, SplitQKV) for module in vit.modules())
    target_pattern(vit, [0, 2], "v")
    assert [isinstance(block.attn.qkv, SplitQKV) for block in vit.blocks] == [True, False, True]


@pytest.mark.parametrize(
    ("blocks", "targets", "message"),
    [
        ((), "kv", "at least one transformer block"),
        ((3,), "norms", r"block 3 is out of range: the model has 3 blocks, 0 \.\.\. 2"),
        ((-1,), "kv", "block -1 is out of range"),
        ((0,), "atention", "unknown place in a block 'atention'; did you mean 'attention'"),
        ((0,), "kv+linear", "attn.qkv as a whole and taken apart"),
    ],
)
def test_bad_places_are_named(blocks: tuple[int, ...], targets: str, message: str, make_vit: MakeViT) -> None:
    with pytest.raises(ValueError, match=message):
        target_pattern(make_vit(), blocks, targets)


@pytest.mark.parametrize(
    ("model", "targets", "message"),
    [
        ("test_resnet", "kv", "ResNet has no transformer blocks"),
        ("eva02_tiny_patch14_224", "qkv", r"block 0 of Eva has no plain fused attn\.qkv Linear layer"),
    ],
)
def test_models_that_lack_a_place_are_named(model: str, targets: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        target_pattern(timm.create_model(model), [0], targets)


def test_blocks_that_lack_a_place_are_named(make_vit: MakeViT) -> None:
    vit = make_vit()
    vit.blocks[1].norm2 = vit.blocks[1].mlp = nn.Identity()
    assert matched(vit, target_pattern(vit, [0], "norms")) == ["blocks.0.norm1", "blocks.0.norm2"]
    with pytest.raises(ValueError, match="block 1 of VisionTransformer has no norm2 with a weight to learn"):
        target_pattern(vit, [0, 1], "norms")
    with pytest.raises(ValueError, match=r"block 1 of VisionTransformer has no Linear layer mlp\.fc1"):
        target_pattern(vit, [0, 1], "linear")


def test_split_refuses_models_without_fused_projection() -> None:
    model = nn.Module()
    model.blocks = nn.ModuleList([nn.Linear(2, 2)])
    with pytest.raises(ValueError, match="no plain fused"):
        split_qkv(model, [0])


def test_a_bias_of_its_own_keeps_attention_from_calling_the_layer_but_only_where_there_is_one() -> None:
    """timm's DINOv3 has none, its EVA-02 one."""

    def eva(qkv_bias: bool) -> nn.Module:
        size = {"img_size": 32, "embed_dim": 32, "depth": 1, "num_heads": 2}
        return timm.create_model("vit_small_patch16_dinov3", **size, init_values=1.0, qkv_bias=qkv_bias).eval()

    vit, x = eva(False), torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        expected = vit(x)
        target_pattern(vit, [0], "kv")
        torch.testing.assert_close(vit(x), expected)
        vit.blocks[0].attn.qkv.v.weight *= 2
        assert not torch.allclose(vit(x), expected)
    with pytest.raises(ValueError, match="block 0 of Eva has no plain fused"):
        target_pattern(eva(True), [0], "kv")

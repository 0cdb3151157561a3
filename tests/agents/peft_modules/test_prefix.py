"""Which attentions take a Prefix, and that what these have beside keys and values is kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import timm
import torch
from timm.models.vision_transformer import Attention
from torch import Tensor, nn

from agents.peft_modules.prefix import PrefixLayer, add_prefix
from agents.peft_modules.target_modules import split_qkv

MakeViT = Callable[..., nn.Module]


class OtherAttention(Attention):
    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        return torch.zeros_like(x)


class RenamedAttention(Attention):
    pass


class Halved(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 2


def norm_of_queries_and_keys(attention: Any) -> None:
    attention.q_norm, attention.k_norm = (nn.LayerNorm(attention.head_dim) for _ in range(2))
    nn.init.normal_(attention.k_norm.bias)


def norm_after(attention: Any) -> None:
    attention.norm = nn.LayerNorm(16)


def gate(attention: Any) -> None:
    attention.gate = nn.Linear(16, 16)


def nothing(attention: Any) -> None:
    """As it is."""


without_gate = pytest.mark.skipif(not hasattr(Attention(2, 1), "gate"), reason="this version of timm has no gate")


@pytest.mark.parametrize(
    "change", [nothing, norm_of_queries_and_keys, norm_after, pytest.param(gate, marks=without_gate)]
)
@pytest.mark.parametrize("fused", [True, False])
@torch.no_grad()
def test_far_away_keys_take_no_attention(change: Callable[[Any], None], fused: bool) -> None:
    """Prefix keys with the lowest of scores leave what timm itself computes, norms and gate included."""
    torch.manual_seed(0)
    attention = Attention(16, 2, qkv_bias=True).eval()
    change(attention)
    attention.fused_attn = fused
    attention.qkv.weight[:16:8] = 0  # the first of each head's query features is its bias alone: ...
    attention.qkv.bias[:16:8] = 1  # ... 1 for all tokens
    if change is norm_of_queries_and_keys:
        attention.q_norm.weight[0], attention.q_norm.bias[0] = 0, 1
    x = torch.randn(2, 5, 16)
    layer = PrefixLayer(attention, "default", PrefixLayer.config_class(length=3))
    present = layer(x)
    layer.vit_prefix_k["default"][:, ::8] = -1e4
    torch.testing.assert_close(layer(x), attention(x), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(present, attention(x), atol=1e-4)


@torch.no_grad()
def test_keys_of_the_prefix_are_not_normed() -> None:
    torch.manual_seed(0)
    attention = Attention(16, 2, qkv_bias=True, qk_norm=True, norm_layer=nn.LayerNorm).eval()
    layer, x = PrefixLayer(attention, "default", PrefixLayer.config_class(length=3)), torch.randn(2, 5, 16)
    attention.k_norm = Halved()
    q, k, v = attention.qkv(x).reshape(2, 5, 3, 2, 8).permute(2, 0, 3, 1, 4)
    prefix_k, prefix_v = (
        values["default"].reshape(3, 2, 8).transpose(0, 1).expand(2, -1, -1, -1)
        for values in (layer.vit_prefix_k, layer.vit_prefix_v)
    )
    keys, values = torch.cat([prefix_k, k / 2], dim=2), torch.cat([prefix_v, v], dim=2)
    weights = (attention.q_norm(q) @ keys.mT / 8**0.5).softmax(dim=-1)
    expected = attention.proj((weights @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_projection_may_be_split(make_vit: MakeViT, images: Tensor) -> None:
    vit = make_vit()
    split_qkv(vit, [0, 2])
    found, expected = (add_prefix(backbone, [0, 2], seed=0)(images) for backbone in (vit, make_vit()))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_attention_that_computes_something_else_is_named(make_vit: MakeViT) -> None:
    for kind, refused in ((RenamedAttention, False), (OtherAttention, True)):
        vit = make_vit()
        vit.blocks[2].attn.__class__ = kind
        build = partial(add_prefix, vit, [2], seed=0)
        if refused:
            with pytest.raises(ValueError, match=r"^blocks\.2\.attn: .* plain Attention, not into .*\.OtherAttention"):
                build()
        else:
            assert isinstance(build().get_base_model().blocks[2].attn, PrefixLayer)


def test_the_message_tells_one_attention_from_another() -> None:
    beit = timm.create_model("beit_base_patch16_224", depth=1, embed_dim=24, num_heads=2, num_classes=0)
    with pytest.raises(ValueError, match=r"not into timm\.models\.beit\.Attention"):
        add_prefix(beit, [0], seed=0)


@torch.no_grad()
def test_disabled_it_asks_for_nothing_that_older_versions_of_timm_lack() -> None:
    given: list[dict[str, Any]] = []
    attention = Attention(16, 2).eval()
    attention.register_forward_pre_hook(lambda _, args, kwargs: given.append(kwargs), with_kwargs=True)
    layer, x = PrefixLayer(attention, "default", PrefixLayer.config_class()), torch.randn(2, 5, 16)
    layer.enable_adapters(False)
    layer(x)
    assert given == [{"attn_mask": None}]

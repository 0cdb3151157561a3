"""Adapter, Prefix and VPT against their formulas, written out."""

from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import Attention, Block
from torch import Tensor, nn

from agents.peft_modules.adapter import AdapterLayer
from agents.peft_modules.prefix import PrefixLayer
from agents.peft_modules.vpt import VPTLayer

BATCH, TOKENS, WIDTH, HEADS = 2, 5, 8, 2


@pytest.fixture
def tokens() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(BATCH, TOKENS, WIDTH)


@pytest.fixture
def attention(tokens: Tensor) -> Attention:
    return Attention(WIDTH, HEADS, qkv_bias=True).eval()


def perturb(layer: nn.Module) -> None:
    with torch.no_grad():
        for name, tensor in layer.named_parameters():
            if name.startswith("vit_"):
                tensor.add_(0.5 * torch.randn_like(tensor))


def attend(attention: Attention, x: Tensor, keys: Tensor, values: Tensor, compensatory: bool) -> Tensor:
    """Head by head, image by image."""
    q, k, v = attention.qkv(x).chunk(3, dim=-1)
    size = WIDTH // HEADS
    joined = torch.empty_like(x)
    for image in range(BATCH):
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            all_keys = torch.cat([keys[:, part], k[image, :, part]])
            all_values = torch.cat([values[:, part], v[image, :, part]])
            weights = (q[image, :, part] @ all_keys.T / size**0.5).softmax(dim=-1)
            if compensatory:
                weights[:, : len(keys)] /= weights[:, : len(keys)].sum(dim=-1, keepdim=True)
            joined[image, :, part] = weights @ all_values
    return attention.proj(joined)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("compensatory", [False, True])
@torch.no_grad()
def test_prefix(attention: Attention, tokens: Tensor, compensatory: bool, fused: bool) -> None:
    attention.fused_attn = fused
    layer = PrefixLayer(attention, "default", PrefixLayer.config_class(length=3, scale=True, compensatory=compensatory))
    perturb(layer)
    keys = layer.vit_prefix_k["default"] * layer.vit_prefix_scale_k["default"]
    values = layer.vit_prefix_v["default"] * layer.vit_prefix_scale_v["default"]
    expected = attend(attention, tokens, keys, values, compensatory)
    torch.testing.assert_close(layer(tokens), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["bool", "float"])
@torch.no_grad()
def test_prefix_is_beyond_the_mask(attention: Attention, tokens: Tensor, kind: str) -> None:
    layer = PrefixLayer(attention, "default", PrefixLayer.config_class(length=3))
    seen = torch.ones(TOKENS, TOKENS, dtype=torch.bool)
    seen[:, 2:] = False  # only the first two tokens are attended to
    mask = seen if kind == "bool" else torch.zeros(TOKENS, TOKENS).masked_fill(~seen, -torch.inf)
    changed = tokens.clone()
    changed[:, 2:] = 0
    found, other = (layer(x, attn_mask=mask)[:, :2] for x in (tokens, changed))
    torch.testing.assert_close(found, other)
    assert not torch.allclose(found, attention(tokens, attn_mask=mask)[:, :2])
    with pytest.raises(ValueError, match="causal"):
        layer(tokens, is_causal=True)


def test_prefix_begins_between_0_and_a_hundredth(attention: Attention) -> None:
    layer = PrefixLayer(attention, "default", PrefixLayer.config_class(length=50))
    values = torch.cat([layer.vit_prefix_k["default"], layer.vit_prefix_v["default"]])
    assert values.min() >= 0 and 0.009 < values.max() <= 0.01


@torch.no_grad()
def test_adapter(attention: Attention, tokens: Tensor) -> None:
    layer = AdapterLayer(attention, "default", AdapterLayer.config_class(bottleneck=3, scale=True))
    perturb(layer)
    down, up, s = layer.vit_adapter_down["default"], layer.vit_adapter_up["default"], layer.vit_adapter_scale["default"]
    hidden = tokens @ down.weight.T + down.bias
    hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
    expected = attention(tokens) + s * (hidden @ up.weight.T + up.bias)
    torch.testing.assert_close(layer(tokens), expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_vpt(tokens: Tensor) -> None:
    block = Block(WIDTH, HEADS).eval()
    layer = VPTLayer(block, "default", VPTLayer.config_class(length=3))
    prompts = layer.vit_vpt_prompts["default"]
    # The order of tokens does not matter to a block: prompts may as well come first.
    expected = block(torch.cat([prompts.expand(BATCH, -1, -1), tokens], dim=1))[:, 3:]
    torch.testing.assert_close(layer(tokens), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="attention mask"):
        layer(tokens, attn_mask=torch.zeros(TOKENS, TOKENS))

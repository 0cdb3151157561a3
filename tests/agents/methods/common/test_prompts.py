"""Prompts within attention and before the blocks, against what they mean for one image at a time."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from agents.methods.common.prompts import (
    PromptedAttention,
    features_with_prompt_tokens,
    similarity,
    with_prompts,
    wrap_attention,
)


def random_attention(**arguments: object) -> nn.Module:
    torch.manual_seed(3)
    return timm.layers.Attention(16, num_heads=4, qkv_bias=True, **arguments).eval()


def by_definition(attention: nn.Module, x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """softmax([q k'^T] / sqrt(d)) v' of one image, head by head; k' and v' begin with the prompts."""
    q, k, v = attention.qkv(x).split(16, dim=1)
    k, v = torch.cat([keys, k]), torch.cat([values, v])
    heads = []
    for head in range(4):
        part = slice(4 * head, 4 * head + 4)
        heads.append((q[:, part] @ k[:, part].T / 2).softmax(dim=1) @ v[:, part])
    return attention.proj(torch.cat(heads, dim=1))


@pytest.mark.parametrize("projected", [False, True])
def test_each_image_attends_to_its_own_prompts_and_keys_are_not_values(projected: bool) -> None:
    """Public code once mixed keys, values and places in the batch: every image by itself is the measure."""
    attention = random_attention()
    wrapped = PromptedAttention(attention, projected)
    x, keys, values = torch.randn(3, 5, 16), torch.randn(3, 2, 16), torch.randn(3, 2, 16)
    wrapped.prompts = (keys, values)
    found = wrapped(x)
    if projected:
        weight, bias = attention.qkv.weight, attention.qkv.bias
        keys = keys @ weight[16:32].T + bias[16:32]
        values = values @ weight[32:].T + bias[32:]
    for image in range(3):
        torch.testing.assert_close(found[image], by_definition(attention, x[image], keys[image], values[image]))
    wrapped.prompts = None
    assert torch.equal(wrapped(x), attention(x))


def test_keys_pass_the_norm_of_keys_where_a_model_has_one() -> None:
    attention = random_attention(qk_norm=True, norm_layer=nn.LayerNorm)
    with torch.no_grad():
        attention.k_norm.weight.mul_(3)
    wrapped = PromptedAttention(attention, projected=True)
    x = torch.randn(1, 5, 16)
    wrapped.prompts = (x[:, :2], x[:, :2])  # prompts that are tokens of the image count these twice
    q, k, v = attention.qkv(x).reshape(1, 5, 3, 4, 4).permute(2, 0, 3, 1, 4)
    q, k = attention.q_norm(q), attention.k_norm(k)
    scores = q @ torch.cat([k[:, :, :2], k], dim=2).transpose(2, 3) / 2
    joined = scores.softmax(dim=3) @ torch.cat([v[:, :, :2], v], dim=2)
    torch.testing.assert_close(wrapped(x), attention.proj(joined.transpose(1, 2).reshape(1, 5, 16)))


def test_prompts_last_as_long_as_their_context() -> None:
    backbone = timm.create_model("test_vit", num_classes=0).eval()
    images = torch.randn(2, 3, 160, 160)
    plain = backbone(images)
    wrap_attention(backbone, [0, 2], projected=True)
    assert torch.equal(backbone(images), plain)
    prompt = torch.randn(2, 3, 64)
    with with_prompts(backbone, {0: (prompt, prompt)}):
        changed = backbone(images)
        assert backbone.blocks[2].attn.prompts is None
    assert not torch.allclose(changed, plain, atol=1e-3)
    assert torch.equal(backbone(images), plain)
    with pytest.raises(RuntimeError, match="out of patience"), with_prompts(backbone, {0: (prompt, prompt)}):
        raise RuntimeError("out of patience")
    assert torch.equal(backbone(images), plain)


def test_attention_that_is_not_timms_plain_one_or_is_causal_is_refused() -> None:
    with pytest.raises(ValueError, match="a prompt goes into timm's plain Attention, not into"):
        PromptedAttention(nn.Linear(2, 2), projected=True)
    wrapped = PromptedAttention(random_attention(), projected=True)
    wrapped.prompts = (torch.zeros(1, 1, 16), torch.zeros(1, 1, 16))
    with pytest.raises(ValueError, match="not causal attention"):
        wrapped(torch.zeros(1, 5, 16), is_causal=True)


def test_features_are_the_mean_output_of_the_prompt_tokens_or_the_class_tokens() -> None:
    backbone = timm.create_model("test_vit", num_classes=0).eval()
    images, prompts = torch.randn(2, 3, 160, 160), torch.randn(2, 3, 64)
    tokens = backbone.norm_pre(backbone.patch_drop(backbone._pos_embed(backbone.patch_embed(images))))
    first = backbone.num_prefix_tokens
    joined = torch.cat([tokens[:, :first], prompts, tokens[:, first:]], dim=1)
    outputs = backbone.norm(backbone.blocks(joined))
    for head, expected in (("prompts", outputs[:, first : first + 3].mean(dim=1)), ("cls", outputs[:, 0])):
        torch.testing.assert_close(features_with_prompt_tokens(backbone, images, prompts, head), expected)
    plain = backbone(images)
    assert torch.equal(backbone(images), plain)  # the hook is gone


def test_similarity_is_the_cosine() -> None:
    found = similarity(torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 5.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8], [0.0, 1.0]]))

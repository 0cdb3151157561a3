from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from timm.layers.attention import Attention
from torch import Tensor, nn

from agents.peft_modules.split_projection import SplitAttention, SplitQKV
from agents.peft_modules.target_modules import split_qkv


def test_split_projection_equals_the_fused_one() -> None:
    fused = nn.Linear(16, 48)
    x = torch.randn(2, 5, 16)
    torch.testing.assert_close(SplitQKV(fused)(x), fused(x))
    without_bias = nn.Linear(16, 48, bias=False)
    torch.testing.assert_close(SplitQKV(without_bias)(x), without_bias(x))


def test_split_refuses_models_without_fused_projection() -> None:
    model = nn.Module()
    model.blocks = nn.ModuleList([nn.Linear(2, 2)])
    with pytest.raises(ValueError, match="no plain fused"):
        split_qkv(model, [0])


def attention_pair(make_vit: Callable[..., nn.Module], **arguments: object) -> tuple[nn.Module, nn.Module]:
    """The attention of a block with a split projection, and timm's own class with the same layers."""
    vit = make_vit(**arguments)
    split_qkv(vit, [0])
    ours: Any = vit.blocks[0].attn.requires_grad_(True)
    theirs = copy.deepcopy(ours)
    assert type(ours) is SplitAttention
    theirs.__class__ = Attention
    return ours, theirs


def results(attention: nn.Module, x: Tensor, **arguments: Any) -> list[Tensor]:
    """The output, and the gradients of the input and of all tensors."""
    x = x.clone().requires_grad_()
    output = attention(x, **arguments)
    gradients = torch.autograd.grad(output.float().square().sum(), [x, *attention.parameters()])
    return [output.detach(), *gradients]


@pytest.mark.parametrize("arguments", [{}, {"qk_norm": True}, {"qkv_bias": False}])
@pytest.mark.parametrize("given", [{}, {"is_causal": True}, {"attn_mask": torch.eye(5, dtype=torch.bool)}])
def test_parts_that_are_not_joined_give_the_same_bits(
    arguments: dict[str, Any], given: dict[str, Any], make_vit: Callable[..., nn.Module]
) -> None:
    ours, theirs = attention_pair(make_vit, **arguments)
    x = torch.randn(4, 5, 32, generator=torch.Generator().manual_seed(0))
    assert all(map(torch.equal, results(ours, x, **given), results(theirs, x, **given)))


def test_parts_of_several_dtypes_are_joined(make_vit: Callable[..., nn.Module]) -> None:
    class Wide(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", enabled=False):
                return super().forward(x)

    ours, theirs = attention_pair(make_vit)
    for attention in (ours, theirs):
        attention.qkv.k.__class__ = Wide  # type: ignore[union-attr, assignment]
    x = torch.randn(4, 5, 32, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours(x), theirs(x))


def test_an_older_timm_without_a_gate(make_vit: Callable[..., nn.Module]) -> None:
    ours, theirs = attention_pair(make_vit)
    x = torch.ones(1, 5, 32)
    expected = theirs(x)
    if hasattr(ours, "gate"):
        del ours.gate
    assert not hasattr(ours, "gate") and torch.equal(ours(x), expected)


def test_a_backward_hook_of_the_projection_is_called(make_vit: Callable[..., nn.Module]) -> None:
    ours, _ = attention_pair(make_vit)
    called = []
    ours.qkv.register_full_backward_hook(lambda *_: called.append("backward"))  # type: ignore[union-attr]
    ours(torch.ones(1, 5, 32)).sum().backward()
    assert called == ["backward"]


def test_a_hook_of_the_projection_is_called(make_vit: Callable[..., nn.Module]) -> None:
    ours, _ = attention_pair(make_vit)
    x, widths = torch.ones(1, 5, 32), []
    before = ours(x)
    projection: Any = ours.qkv
    handle = projection.register_forward_hook(lambda module, given, output: widths.append(output.shape[-1]))
    torch.testing.assert_close(ours(x), before)
    assert widths == [96]
    handle.remove()
    projection.register_forward_hook(lambda module, given, output: 0 * output)
    torch.testing.assert_close(ours(x), ours.proj.bias.expand(1, 5, 32))  # type: ignore[union-attr, operator]

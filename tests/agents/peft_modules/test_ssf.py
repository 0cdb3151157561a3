"""SSF against its formula, and its precision."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from agents.peft_modules.ssf import SSFLayer


@pytest.fixture(params=["linear", "norm"])
def layer(request: pytest.FixtureRequest) -> SSFLayer:
    torch.manual_seed(0)
    found = SSFLayer(
        nn.Linear(8, 8) if request.param == "linear" else nn.LayerNorm(8), "default", SSFLayer.config_class()
    )
    for tensor in (found.vit_ssf_scale["default"], found.vit_ssf_shift["default"]):
        nn.init.normal_(tensor)
    return found


@torch.no_grad()
def test_formula(layer: SSFLayer) -> None:
    x = torch.randn(2, 5, 8)
    gamma, beta = layer.vit_ssf_scale["default"], layer.vit_ssf_shift["default"]
    torch.testing.assert_close(layer(x), gamma * layer.base_layer(x) + beta)


@torch.no_grad()
def test_autocast_does_not_round_what_is_scaled_and_shifted(layer: SSFLayer) -> None:
    x = torch.randn(2, 5, 8)
    gamma, beta = layer.vit_ssf_scale["default"], layer.vit_ssf_shift["default"]
    with torch.autocast("cpu", torch.bfloat16):
        found, inner = layer(x), layer.base_layer(x)
    assert torch.equal(found, gamma * inner.float() + beta)


def test_other_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="not after Conv2d"):
        SSFLayer(nn.Conv2d(3, 3, 1), "default", SSFLayer.config_class())

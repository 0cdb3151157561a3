"""The Adapter's initial values, and what it goes beside."""

from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import Attention
from torch import nn

from agents.peft_modules.adapter import AdapterLayer


def test_initial_values_are_laes() -> None:
    torch.manual_seed(0)
    layer = AdapterLayer(Attention(64, 2), "default", AdapterLayer.config_class(bottleneck=5, scale=True))
    down, up = layer.vit_adapter_down["default"], layer.vit_adapter_up["default"]
    bound = 64**-0.5  # of the Kaiming-uniform distribution with a = sqrt(5)
    assert down.weight.shape == (5, 64) and up.weight.shape == (64, 5)
    assert 0.95 * bound < down.weight.abs().max() <= bound
    assert not any(tensor.any() for tensor in (down.bias, up.weight, up.bias))
    assert layer.vit_adapter_scale["default"] == 1


def test_attention_without_a_known_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Linear proj, not torch\.nn\.modules\.linear\.Identity"):
        AdapterLayer(nn.Identity(), "default", AdapterLayer.config_class())

from __future__ import annotations

import pytest
import torch
from torch import nn

from agents.peft_modules.lora import SplitQKV, split_qkv


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

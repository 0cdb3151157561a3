from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor, nn


@pytest.fixture
def make_vit() -> Callable[..., nn.Module]:
    """`make_vit(**arguments)`: the same frozen ViT of depth 3 and width 32 each time, its biases not 0."""

    def make(**arguments: object) -> nn.Module:
        size = {"img_size": 16, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 2, "num_classes": 0}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            vit = timm.create_model("vit_tiny_patch16_224", **(size | arguments))
            for name, tensor in vit.named_parameters():
                if name.endswith("bias"):
                    nn.init.normal_(tensor, std=0.1)
        return vit.eval().requires_grad_(False)

    return make


@pytest.fixture
def images() -> Tensor:
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def disturb() -> Callable[[nn.Module], None]:
    """Adds noise to what learns, as training would."""

    def add_noise(model: nn.Module) -> None:
        random = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for tensor in model.parameters():
                if tensor.requires_grad:
                    tensor += 0.05 * torch.randn(tensor.shape, generator=random)

    return add_noise

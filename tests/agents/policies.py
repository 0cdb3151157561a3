"""Small policies, and what the tests do with them."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from agents import ViTPolicy
from agents.networks.embedded_vits import MICRO_VIT

TINY = {"model": "test_vit", "pretrained": False}
"""Entries of a random ViT of width 64 over 4 patches, for tests whose outcome does not depend on accuracy."""
EMBEDDED = {"model": MICRO_VIT.name, "pretrained": True}
"""Entries of the embedded backbone, for tests that learn."""


def make_policy(side: int = 32, **arguments: object) -> ViTPolicy:
    return ViTPolicy(spaces.Box(0, 255, (side, side, 3), np.uint8), spaces.Discrete(6), lambda _: 1e-3, **arguments)


def black(side: int) -> torch.Tensor:
    return torch.zeros(1, side, side, 3, dtype=torch.uint8)


def step(policy: ViTPolicy, images: torch.Tensor) -> None:
    """A gradient step in training mode towards the first class."""
    policy.set_training_mode(True)
    policy.optimizer.zero_grad(set_to_none=True)
    nn.functional.cross_entropy(policy(images)[:, :2], torch.zeros(len(images), dtype=torch.int64)).backward()
    policy.optimizer.step()


def snapshot(policy: ViTPolicy) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in policy.state_dict().items()}


def changed(policy: ViTPolicy, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in policy.state_dict().items() if not torch.equal(tensor, before[name])}


def whole(**arguments: object) -> ViTPolicy:
    """A small ResNet with batch norm that learns as a whole."""
    return make_policy(**({"model": "test_resnet", "pretrained": False, "peft": "full"} | arguments))

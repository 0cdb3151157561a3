"""Logits of a batch whose activations would not fit in the memory of the device all at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from agents.methods import Batch, Method
from agents.networks.network import Network


def check_micro_batch(size: int | None, network: Network) -> None:
    """Check that a batch may be passed by parts.

    Raises:
        ValueError: The backbone is trained with batch norm, which computes statistics over the images of a pass.
    """
    if size is None or not network.trains_whole_backbone:
        return
    if any(isinstance(module, _BatchNorm) for module in network.backbone.modules()):
        raise ValueError(
            f"micro_batch={size} can't be combined with peft='full' on {network.config.model}, whose batch norm "
            "computes statistics over the whole batch"
        )


def logits_by_parts(method: Method, network: Network, batch: Batch, size: int | None) -> Tensor:
    """The method's training logits, of which the activations of `size` images are in memory at once.

    The activations of a part are computed again in the backward pass. Objective, gradient and optimizer see the whole
    batch, so the result is that of the whole batch, up to rounding. A step takes one more forward pass.

    Args:
        method: Computes the logits.
        network: Of the policy.
        batch: The images.
        size: The most images of a part; None for the whole batch at once.

    Returns:
        Shape (B, A).
    """
    if size is None or size >= len(batch.images):
        return method.training_logits(network, batch)
    parts = [checkpoint(method.training_logits, network, part, use_reentrant=False) for part in batch.split(size)]
    return torch.cat(parts)

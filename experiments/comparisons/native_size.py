"""A warning about models whose native input size is expensive."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from agents.networks.backbone import create_backbone
from agents.networks.native_view import native_view

CUSTOMARY = 224
"""Side in pixels at which most published results were obtained, including those of models with a larger native size."""
WORTH_A_WARNING = 2.0
"""Smallest ratio of costs that is reported."""


def size_warning(model: str, input_size: int | None) -> str | None:
    """A warning if a model's native size costs several times the customary one, and the native size is used.

    Args:
        model: A timm name.
        input_size: The configured size; None for the native size.
    """
    side = native_view(model).size
    if input_size is not None or side <= CUSTOMARY:
        return None
    try:
        factor = _flops(model, side) / _flops(model, CUSTOMARY)
    except ValueError:  # the customary size does not fit its patches
        return None
    if factor < WORTH_A_WARNING:
        return None
    return (
        f"{model} was made for images of {side} px, which cost {factor:.1f} times as much as the customary "
        f"{CUSTOMARY} px: --input-size {CUSTOMARY} takes these"
    )


def _flops(model: str, side: int) -> float:
    """Floating-point operations of one image, counted without computing anything.

    Raises:
        ValueError: The model does not take images of this size.
    """
    with torch.device("meta"):
        backbone = create_backbone(model, False, (side, side), seed=0)
        images = torch.zeros(1, 3, side, side)
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            backbone(images)
    except Exception as error:  # layers raise different errors for a size that does not fit
        raise ValueError(f"{model} fails on images of {side} px: {error}") from error
    return counter.get_total_flops()

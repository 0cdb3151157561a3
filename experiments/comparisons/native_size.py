"""What the size that a backbone was made for costs, beside the customary one."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from agents.networks.backbone import create_backbone
from agents.networks.native_view import native_view

CUSTOMARY = 224
"""Side in pixels at which most published figures were obtained, those of models of a larger native size too."""
WORTH_A_WARNING = 2.0
"""Times the cost."""


def size_warning(model: str, input_size: int | None) -> str | None:
    """A line on a model that sees images at its native size, where that costs several times the customary one.

    Args:
        model: A timm name.
        input_size: As configured; None for the native size.
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
    except Exception as error:  # whatever a layer says of a size it can't take
        raise ValueError(f"{model} fails on images of {side} px: {error}") from error
    return counter.get_total_flops()

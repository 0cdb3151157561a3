"""What the size that a backbone was made for costs, beside the customary one."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from agents.backbone import create_backbone
from agents.native_view import native_view
from experiments.config import Settings

CUSTOMARY = 224
"""Side in pixels at which most published figures were obtained, those of models of a larger native size too."""
WORTH_A_WARNING = 2.0
"""Times the cost."""


def size_warning(config: Settings) -> str | None:
    """A line on a model that sees images at its native size, where that costs several times the customary one."""
    side = native_view(config.model).size
    if config.input_size is not None or side <= CUSTOMARY:
        return None
    try:
        factor = _flops(config.model, side) / _flops(config.model, CUSTOMARY)
    except ValueError:  # the customary size does not fit its patches
        return None
    if factor < WORTH_A_WARNING:
        return None
    return (
        f"{config.model} was made for images of {side} px, which cost {factor:.1f} times as much as the customary "
        f"{CUSTOMARY} px: --input-size {CUSTOMARY} takes these"
    )


def _flops(model: str, side: int) -> float:
    """Floating-point operations of one image, counted without computing anything."""
    with torch.device("meta"):
        backbone = create_backbone(model, False, (side, side), seed=0)
        images = torch.zeros(1, 3, side, side)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone(images)
    return counter.get_total_flops()

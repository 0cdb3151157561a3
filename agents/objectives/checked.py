"""What an objective returns, checked before a gradient is taken of it."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def check_losses(losses: Any, logits: Tensor, objective: object) -> Tensor:
    """Check that an objective returned one loss for each image.

    Args:
        losses: What it returned.
        logits: What it was given, shape (B, A).
        objective: Its specification, or a function, for the message.

    Returns:
        The losses.

    Raises:
        ValueError: It returned something else.
    """
    if not isinstance(losses, Tensor):
        found = f"{losses!r}" if losses is None or isinstance(losses, (int, float)) else f"a {type(losses).__name__}"
    elif losses.shape != logits.shape[:1] or not losses.is_floating_point():
        found = f"{str(losses.dtype).removeprefix('torch.')} of shape {tuple(losses.shape)}"
    elif logits.requires_grad and not losses.requires_grad:
        found = "a tensor without gradients: compute it from logits that are not detached"
    else:
        return losses
    name = objective if isinstance(objective, str) else getattr(objective, "__name__", type(objective).__name__)
    raise ValueError(
        f"objective {name!r} must return one loss for each image, floating point of shape ({len(logits)},) with "
        f"gradients, not {found}"
    )

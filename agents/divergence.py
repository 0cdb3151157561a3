"""Training that diverges, noticed where it begins."""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST_LOGIT = 1e4
"""The largest size of a sensible logit: the softmax of a difference of 1e4 is 0 or 1 in every precision."""
LARGEST_PLAIN_PARAMETER = 10.0
"""A trained parameter of at most this size gives no reason to look at the logits again at the end of a task."""


class DivergedError(ValueError):
    """Training diverged; the message says at which gradient step of which task, and with which learning rate."""


def is_sensible(values: Tensor, allowed: Tensor, limit: float) -> Tensor:
    """Whether outputs are numbers of a sensible size.

    Args:
        values: Logits or predicted rewards, shape (B, A).
        allowed: Non-zero where an output counts, shape (B, A) or (1, A).
        limit: The largest sensible size; may be infinite, where any finite number is sensible.

    Returns:
        A truth value on the device of the values, so that nothing waits for it here.
    """
    return ((values.abs() <= min(limit, torch.finfo(values.dtype).max)) | (allowed == 0)).all()


def describe_outputs(values: Tensor, allowed: Tensor, limit: float) -> str:
    """What is wrong with outputs that `is_sensible` refuses, in words."""
    counted = values[(allowed != 0).expand_as(values)]
    if not counted.isfinite().all():
        return "the outputs of the network hold NaN or infinity"
    if counted.abs().max() > limit:
        return f"the outputs of the network reach {counted.abs().max().item():.3g}, where {limit:g} is the limit"
    return "the probabilities of the actions hold NaN"


def largest_size(tensors: list[Tensor]) -> float:
    """The largest absolute value in some tensors, 0 without tensors; NaN where one holds NaN."""
    sizes = [tensor.detach().abs().max().float() for tensor in tensors if tensor.numel()]
    return torch.stack(sizes).max().item() if sizes else 0.0


def check_scores(scores: Tensor, seen: Tensor) -> None:
    """See that the scores of a policy under test are numbers.

    Args:
        scores: Of all actions, shape (B, A).
        seen: The seen actions, int64.

    Raises:
        DivergedError: The score of a seen class is NaN.
    """
    if scores[:, seen].isnan().any():
        raise DivergedError("the policy scores seen classes with NaN: its training diverged; lower the learning rate")

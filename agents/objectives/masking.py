"""Which actions an objective may consider, and how uncertain the policy is among them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cls_env.arguments import number


def mask_logits(logits: Tensor, action_mask: Tensor) -> Tensor:
    """Give the actions outside the mask probability 0, which makes a loss local to the current task's classes.

    The lowest finite number stands in for minus infinity, so that 0 * log pi stays 0.

    Args:
        logits: Shape (B, A); minus infinity for actions that have no logit yet is fine.
        action_mask: Non-zero where an action is allowed, shape (B, A).

    Returns:
        Masked logits, shape (B, A); no gradient reaches the masked ones.
    """
    return logits.masked_fill(action_mask == 0, torch.finfo(logits.dtype).min)


def allowed_actions(logits: Tensor) -> Tensor:
    """True where `mask_logits` left an action in, bool of shape (B, A)."""
    return logits > torch.finfo(logits.dtype).min


def log_probs(logits: Tensor) -> Tensor:
    """Log pi(a|x), shape (B, A): finite also where pi underflows, so that 0 * log pi stays 0."""
    return logits.log_softmax(dim=1).clamp(min=torch.finfo(logits.dtype).min)


def entropy(logits: Tensor) -> Tensor:
    """-sum_a pi(a|x) log pi(a|x) in nats, shape (B,); log A where the policy is uniform over A actions."""
    log_probabilities = log_probs(logits)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=1)


def above_worst(action_rewards: Tensor, logits: Tensor) -> Tensor:
    """The rewards of the allowed actions less the smallest of them, shape (B, A); others have 0.

    A policy that maximises the expected reward stays the same when a constant is added to all rewards, and so does one
    that is trained on these. Of a negative reward R, -R log pi would be unbounded below. Rewards of 0 and 1 do not
    change, if one of the allowed actions has 0. Noise on the rewards makes the smallest of them too small, which gives
    wrong actions a reward too.
    """
    allowed = allowed_actions(logits)
    worst = action_rewards.masked_fill(~allowed, torch.inf).amin(dim=1, keepdim=True)
    return (action_rewards - worst).masked_fill(~allowed, 0)


def check_shapes(logits: Tensor, action_rewards: Tensor) -> None:
    """Check that an objective was given two matrices of one shape; (B,) and (B, A) would broadcast in silence.

    Raises:
        ValueError: They are not.
    """
    if logits.ndim != 2 or logits.shape != action_rewards.shape:
        raise ValueError(
            f"logits and action_rewards must have one shape (B, A), not {tuple(logits.shape)} and "
            f"{tuple(action_rewards.shape)}"
        )


def check_share(name: str, value: Any) -> float:
    """A parameter that must be a share, as a plain number.

    Raises:
        ValueError: It is no number in [0, 1].
    """
    share = number(name, value)
    if not 0 <= share <= 1:
        raise ValueError(f"{name} must be in [0, 1], not {value}")
    return share


def check_not_negative(name: str, value: Any) -> float:
    """A parameter that must be at least 0 and finite, as a plain number.

    Raises:
        ValueError: It is not.
    """
    size = number(name, value)
    if not 0 <= size < float("inf"):
        raise ValueError(f"{name} must be at least 0 and finite, not {value}")
    return size

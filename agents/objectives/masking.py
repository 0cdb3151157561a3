"""Which actions an objective considers, and the entropy of the policy among them.

Logits hold two marks for an action that is left out. Both give it probability 0, and no gradient reaches its logit.

- Minus infinity: the class is unseen, and the head has no logit for it yet.
- The lowest finite number, `torch.finfo(dtype).min`: the class is outside the current task. `mask_logits` writes it,
  also in place of minus infinity, so that every objective gets finite logits and 0 * log pi is 0 rather than NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor


def mask_logits(logits: Tensor, action_mask: Tensor) -> Tensor:
    """Give the actions outside the mask probability 0, so that a loss is local to the current task's classes.

    Args:
        logits: Shape (B, A); minus infinity for unseen classes.
        action_mask: Non-zero where an action is allowed, shape (B, A).

    Returns:
        Masked logits, shape (B, A).
    """
    return logits.masked_fill(action_mask == 0, torch.finfo(logits.dtype).min)


def allowed_actions(logits: Tensor) -> Tensor:
    """True for the actions that are left in, bool of shape (B, A)."""
    return logits > torch.finfo(logits.dtype).min


def log_probs(logits: Tensor) -> Tensor:
    """Log pi(a|x), shape (B, A): finite even where pi underflows, so that 0 * log pi is 0."""
    return logits.log_softmax(dim=1).clamp(min=torch.finfo(logits.dtype).min)


def entropy(logits: Tensor) -> Tensor:
    """-sum_a pi(a|x) log pi(a|x) in nats, shape (B,); log A where the policy is uniform over A actions."""
    log_probabilities = log_probs(logits)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=1)


def above_worst(action_rewards: Tensor, logits: Tensor) -> Tensor:
    """The rewards of the allowed actions minus the smallest of them, shape (B, A); 0 for the others.

    A constant added to all rewards does not change which policy maximizes the expected reward. Without the subtraction,
    -R log pi has no lower bound for a negative reward R. Rewards of 0 and 1 do not change if one of the allowed actions
    has 0. Noise on the rewards lowers the smallest of them, and so gives wrong actions a positive reward.
    """
    allowed = allowed_actions(logits)
    worst = action_rewards.masked_fill(~allowed, torch.inf).amin(dim=1, keepdim=True)
    return (action_rewards - worst).masked_fill(~allowed, 0)


def check_shapes(logits: Tensor, action_rewards: Tensor) -> None:
    """Check that an objective was given two matrices of one shape; (B,) and (B, A) would broadcast without an error.

    Raises:
        ValueError: They are not.
    """
    if logits.ndim != 2 or logits.shape != action_rewards.shape:
        raise ValueError(
            f"logits and action_rewards must have one shape (B, A), not {tuple(logits.shape)} and "
            f"{tuple(action_rewards.shape)}"
        )

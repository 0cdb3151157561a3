"""Losses of classification as a one-step decision problem: pure functions of logits, rewards and progress.

All take `logits` (floating, shape (B, A)), `action_rewards` (R(x, a) of every action, same shape) and `progress` (t / T
within the task, in [0, 1]), and return the loss of each sample, shape (B,). None holds state. Actions outside the
current task are removed beforehand by `mask_logits`; their rewards are 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from agents.annealing import Schedule, cosine_alpha, fixed_alpha, linear_alpha, sigmoid_alpha

Objective = Callable[[Tensor, Tensor, float], Tensor]


def cross_entropy(logits: Tensor, action_rewards: Tensor, progress: float = 0.0) -> Tensor:
    """-sum_a R(x, a) log pi(a|x); with 0-1 rewards -log pi(y|x).

    Returns:
        Loss of each sample, shape (B,), at least 0 for rewards of at least 0.

    Raises:
        ValueError: Logits and rewards are not two matrices of one shape.
    """
    _check_shapes(logits, action_rewards)
    return -(action_rewards * logits.log_softmax(dim=1)).sum(dim=1)


def expected_policy_gradient(logits: Tensor, action_rewards: Tensor, progress: float = 0.0) -> Tensor:
    """-sum_a pi(a|x) R(x, a), the negative expected reward; with 0-1 rewards -pi(y|x).

    Its gradient is REINFORCE's in expectation over actions, and per sample pi(y|x) times cross-entropy's.
    Source: arXiv 2602.14078, expected policy gradient.

    Returns:
        Loss of each sample, shape (B,), in [-max R, -min R].

    Raises:
        ValueError: Logits and rewards are not two matrices of one shape.
    """
    _check_shapes(logits, action_rewards)
    return -(action_rewards * logits.softmax(dim=1)).sum(dim=1)


def mixture(alpha: Schedule) -> Objective:
    """Alpha * cross-entropy + (1 - alpha) * EPG, alpha being a function of progress.

    With `sigmoid_alpha`, which falls from near 1 to near 0 over the task, it is aEPG.
    Source: arXiv 2602.14078, adaptive entropy annealing and its ablations.

    Args:
        alpha: Progress in [0, 1] to a weight in [0, 1].

    Returns:
        An objective; it raises a ValueError where shapes differ, or `progress` is outside [0, 1].
    """

    def loss(logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        weight = alpha(progress)
        explore = cross_entropy(logits, action_rewards)
        exploit = expected_policy_gradient(logits, action_rewards)
        return weight * explore + (1 - weight) * exploit

    return loss


annealed_expected_policy_gradient = mixture(sigmoid_alpha)

OBJECTIVES: dict[str, Objective] = {
    "ce": cross_entropy,
    "epg": expected_policy_gradient,
    "aepg": annealed_expected_policy_gradient,
    "aepg-linear": mixture(linear_alpha),
    "aepg-cosine": mixture(cosine_alpha),
    **{f"alpha-{weight:g}": mixture(fixed_alpha(weight)) for weight in (0.1, 0.2, 0.5, 0.7)},
}


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


def entropy(logits: Tensor) -> Tensor:
    """-sum_a pi(a|x) log pi(a|x) in nats, shape (B,); log A where the policy is uniform over A actions."""
    log_probabilities = logits.log_softmax(dim=1)
    return -(log_probabilities.exp() * log_probabilities.clamp(min=torch.finfo(logits.dtype).min)).sum(dim=1)


def _check_shapes(logits: Tensor, action_rewards: Tensor) -> None:
    if logits.ndim != 2 or logits.shape != action_rewards.shape:
        raise ValueError(
            f"logits and action_rewards must have one shape (B, A), not {tuple(logits.shape)} and "
            f"{tuple(action_rewards.shape)}"
        )

"""Relatives of EPG that are known from learning with noisy labels."""

from __future__ import annotations

from torch import Tensor

from agents.objectives.cross_entropies import cross_entropy
from agents.objectives.masking import above_worst, check_not_negative, check_shapes, check_share, log_probs
from agents.objectives.policy_gradients import expected_policy_gradient


def generalised_cross_entropy(logits: Tensor, action_rewards: Tensor, progress: float = 0.0, q: float = 0.7) -> Tensor:
    """sum_a R'(x, a) (1 - pi(a|x)^q) / q: between cross-entropy (q = 0) and 1 + EPG (q = 1); R' as in `ce`.

    Its gradient is pi(y|x)^q times cross-entropy's.
    Source: Zhang and Sabuncu, "Generalized Cross Entropy Loss", NeurIPS 2018, eq. 6.

    Args:
        logits: Shape (B, A).
        action_rewards: Shape (B, A).
        progress: Not used.
        q: In [0, 1].

    Returns:
        Loss of each sample, shape (B,).

    Raises:
        ValueError: The shapes differ, or q is outside [0, 1].
    """
    check_shapes(logits, action_rewards)
    q = check_share("q", q)
    if q == 0:
        return cross_entropy(logits, action_rewards)
    return -(above_worst(action_rewards, logits) * (q * log_probs(logits)).expm1()).sum(dim=1) / q


def symmetric_cross_entropy(
    logits: Tensor,
    action_rewards: Tensor,
    progress: float = 0.0,
    alpha: float = 0.1,
    beta: float = 1.0,
    log_zero: float = -4.0,
) -> Tensor:
    """CE with its reverse: alpha CE + beta RCE, where RCE = -sum_a pi(a|x) log q(a|x) and log 0 set to `log_zero`.

    For one right label RCE is -log_zero (1 - pi(y|x)): the loss is a fixed mixture of CE and EPG, in the proportion of
    alpha to -beta log_zero (0.1 to 4 by default), and for any rewards it is taken to be that.
    Source: Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels", ICCV 2019, eq. 7 and 8.

    Args:
        logits: Shape (B, A).
        action_rewards: Shape (B, A).
        progress: Not used.
        alpha: At least 0.
        beta: At least 0.
        log_zero: What stands for log 0, at most 0.

    Returns:
        Loss of each sample, shape (B,).

    Raises:
        ValueError: The shapes differ, or a parameter is out of range.
    """
    alpha = check_not_negative("alpha", alpha)
    beta = check_not_negative("beta", beta)
    log_zero = -check_not_negative("-log_zero", -log_zero)
    reverse = -log_zero * (1 + expected_policy_gradient(logits, action_rewards))
    return alpha * cross_entropy(logits, action_rewards) + beta * reverse

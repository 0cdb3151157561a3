"""Losses between cross-entropy and EPG from the literature on learning with noisy labels."""

from __future__ import annotations

from torch import Tensor

from agents.objectives.cross_entropies import cross_entropy_loss
from agents.objectives.masking import above_worst, check_shapes, log_probs
from agents.objectives.policy_gradients import expected_policy_gradient_loss
from cls_env.arguments import number


def generalized_cross_entropy_loss(
    logits: Tensor, action_rewards: Tensor, progress: float = 0.0, q: float = 0.7
) -> Tensor:
    """sum_a R'(x, a) (1 - pi(a|x)^q) / q: between cross-entropy (q = 0) and 1 + EPG (q = 1); R' as in `ce`.

    Its gradient is pi(y|x)^q times cross-entropy's.
    Source: Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    NeurIPS 2018, eq. 6, https://arxiv.org/abs/1805.07836.

    Args:
        q: In [0, 1].
    """
    check_shapes(logits, action_rewards)
    q = number("q", q, "[0, 1]")
    if q == 0:
        return cross_entropy_loss(logits, action_rewards)
    return -(above_worst(action_rewards, logits) * (q * log_probs(logits)).expm1()).sum(dim=1) / q


def symmetric_cross_entropy_loss(
    logits: Tensor,
    action_rewards: Tensor,
    progress: float = 0.0,
    alpha: float = 0.1,
    beta: float = 1.0,
    log_zero: float = -4.0,
) -> Tensor:
    """CE with its reverse: alpha CE + beta RCE, where RCE = -sum_a pi(a|x) log q(a|x) and log 0 set to `log_zero`.

    With one right label RCE is -log_zero (1 - pi(y|x)). The loss is then a fixed mixture of CE and EPG, in the
    proportion of alpha to -beta log_zero (0.1 to 4 by default), and it is defined as this mixture for any rewards.
    Source: Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels", ICCV 2019, eq. 7 and 8,
    https://arxiv.org/abs/1908.06112.

    Args:
        alpha: At least 0.
        beta: At least 0.
        log_zero: The value of log 0, at most 0.
    """
    alpha = number("alpha", alpha, "[0, inf)")
    beta = number("beta", beta, "[0, inf)")
    log_zero = number("log_zero", log_zero, "(-inf, 0]")
    reverse = -log_zero * (1 + expected_policy_gradient_loss(logits, action_rewards))
    return alpha * cross_entropy_loss(logits, action_rewards) + beta * reverse

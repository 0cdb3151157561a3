"""Mixtures of cross-entropy and EPG: of fixed weights, and annealed from the one to the other over a task."""

from __future__ import annotations

from torch import Tensor

from agents.objectives.cross_entropies import cross_entropy_loss
from agents.objectives.policy_gradients import expected_policy_gradient_loss
from agents.objectives.schedules import cosine_alpha, linear_alpha, sigmoid_alpha
from cls_env.arguments import number


def mixture_loss(logits: Tensor, action_rewards: Tensor, alpha: float | Tensor) -> Tensor:
    """Alpha CE + (1 - alpha) EPG, with alpha in [0, 1]: a number, or a weight of each sample, shape (B,)."""
    cross_entropy = cross_entropy_loss(logits, action_rewards)
    policy_gradient = expected_policy_gradient_loss(logits, action_rewards)
    return alpha * cross_entropy + (1 - alpha) * policy_gradient


def fixed_mixture_loss(logits: Tensor, action_rewards: Tensor, progress: float = 0.0, alpha: float = 0.5) -> Tensor:
    """A fixed mixture, alpha CE + (1 - alpha) EPG; 1 is cross-entropy, 0 expected policy gradient, bit for bit.

    Source: https://arxiv.org/abs/2602.14078, ablation of fixed weights.

    Args:
        alpha: In [0, 1].
    """
    return mixture_loss(logits, action_rewards, number("alpha", alpha, "[0, 1]"))


def aepg_loss(logits: Tensor, action_rewards: Tensor, progress: float, tau: float = 6.0) -> Tensor:
    """Annealed EPG: alpha_t CE + (1 - alpha_t) EPG, alpha_t = sigmoid(tau (T - 2t) / T) falling from near 1 to near 0.

    Source: https://arxiv.org/abs/2602.14078, adaptive entropy annealing.

    Args:
        tau: Steepness, at least 0.
    """
    return mixture_loss(logits, action_rewards, sigmoid_alpha(progress, tau))


def linear_aepg_loss(logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
    """As aEPG, with alpha_t = (T - t) / T.

    Source: https://arxiv.org/abs/2602.14078, ablation of the schedules.
    """
    return mixture_loss(logits, action_rewards, linear_alpha(progress))


def cosine_aepg_loss(logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
    """As aEPG, with alpha_t = (1 + cos(pi t / T)) / 2.

    Source: https://arxiv.org/abs/2602.14078, ablation of the schedules.
    """
    return mixture_loss(logits, action_rewards, cosine_alpha(progress))

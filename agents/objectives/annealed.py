"""Objectives between cross-entropy and EPG: fixed mixtures, and those that go from the one to the other.

Per sample the gradient of CE is g, that of EPG pi(y|x) g; what lies between weighs g by something between 1 and
pi(y|x): aEPG by the arithmetic mean alpha + (1 - alpha) pi, its geometric form by pi^(1 - alpha).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from agents.objectives.cross_entropies import cross_entropy
from agents.objectives.masking import above_worst, allowed_actions, check_shapes, check_share, entropy, log_probs
from agents.objectives.policy_gradients import expected_policy_gradient
from agents.objectives.robust import generalised_cross_entropy
from agents.objectives.schedules import cosine_alpha, linear_alpha, sigmoid_alpha


def fixed_mixture(logits: Tensor, action_rewards: Tensor, progress: float = 0.0, alpha: float = 0.5) -> Tensor:
    """A fixed mixture: alpha CE + (1 - alpha) EPG; 1 is cross-entropy, 0 expected policy gradient, bit for bit.

    Source: arXiv 2602.14078, ablation of fixed weights.

    Args:
        logits: Shape (B, A).
        action_rewards: Shape (B, A).
        progress: Not used.
        alpha: In [0, 1].

    Returns:
        Loss of each sample, shape (B,).

    Raises:
        ValueError: The shapes differ, or alpha is outside [0, 1].
    """
    alpha = check_share("alpha", alpha)
    return _mixture(logits, action_rewards, alpha)


def annealed_expected_policy_gradient(
    logits: Tensor, action_rewards: Tensor, progress: float, tau: float = 6.0
) -> Tensor:
    """aEPG: alpha_t CE + (1 - alpha_t) EPG, alpha_t = sigmoid(tau (T - 2t) / T) falling from near 1 to near 0.

    Source: arXiv 2602.14078, adaptive entropy annealing.

    Args:
        logits: Shape (B, A).
        action_rewards: Shape (B, A).
        progress: t / T in [0, 1].
        tau: Steepness, at least 0.

    Returns:
        Loss of each sample, shape (B,).

    Raises:
        ValueError: The shapes differ, or `progress` is outside [0, 1].
    """
    return _mixture(logits, action_rewards, sigmoid_alpha(progress, tau))


def linearly_annealed(logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
    """As aEPG, with alpha_t = (T - t) / T; loss of each sample, shape (B,).

    Source: arXiv 2602.14078, ablation of the schedules.
    """
    return _mixture(logits, action_rewards, linear_alpha(progress))


def cosine_annealed(logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
    """As aEPG, with alpha_t = (1 + cos(pi t / T)) / 2; loss of each sample, shape (B,).

    Source: arXiv 2602.14078, ablation of the schedules.
    """
    return _mixture(logits, action_rewards, cosine_alpha(progress))


def entropy_annealed(logits: Tensor, action_rewards: Tensor, progress: float = 0.0) -> Tensor:
    """As aEPG, with alpha of each sample measured, not timed: the entropy of its output over log A.

    Uncertain samples learn by cross-entropy, certain ones by EPG, where a label that contradicts a certain output has
    hardly any weight. No clock is needed. Alpha is held constant in the gradient.

    Returns:
        Loss of each sample, shape (B,).

    Raises:
        ValueError: Logits and rewards are not two matrices of one shape.
    """
    check_shapes(logits, action_rewards)
    return _mixture(logits, action_rewards, entropy_alpha(logits))


def geometrically_annealed(logits: Tensor, action_rewards: Tensor, progress: float, tau: float = 6.0) -> Tensor:
    """sum_a R' (1 - pi^q) / q with q = 1 - alpha_t: generalised cross-entropy whose q rises with aEPG's clock.

    The gradient weighs a sample by pi^(1 - alpha), the geometric mean of CE's weight 1 and EPG's weight pi, where aEPG
    has the arithmetic mean, which stays near alpha for a label that is thought impossible.

    Args:
        logits: Shape (B, A).
        action_rewards: Shape (B, A).
        progress: t / T in [0, 1].
        tau: Steepness, at least 0.

    Returns:
        Loss of each sample, shape (B,).

    Raises:
        ValueError: The shapes differ, or `progress` is outside [0, 1].
    """
    return generalised_cross_entropy(logits, action_rewards, q=1 - sigmoid_alpha(progress, tau))


def normalised_expected_policy_gradient(logits: Tensor, action_rewards: Tensor, progress: float = 0.0) -> Tensor:
    """EPG whose weights pi are divided by their mean over the batch, so that steps do not fade where pi is small.

    The value is that of a weighted cross-entropy; the weights are held constant in the gradient.

    Returns:
        Loss of each sample, shape (B,).
    """
    check_shapes(logits, action_rewards)
    return _normalised(logits, action_rewards, log_probs(logits).exp())


def normalised_annealed(logits: Tensor, action_rewards: Tensor, progress: float, tau: float = 6.0) -> Tensor:
    """Anneals as aEPG, with weights alpha + (1 - alpha) pi that are divided by their mean over the batch.

    Args:
        logits: Shape (B, A).
        action_rewards: Shape (B, A).
        progress: t / T in [0, 1].
        tau: Steepness, at least 0.

    Returns:
        Loss of each sample, shape (B,).
    """
    check_shapes(logits, action_rewards)
    alpha = sigmoid_alpha(progress, tau)
    return _normalised(logits, action_rewards, alpha + (1 - alpha) * log_probs(logits).exp())


def normalised_geometrically_annealed(
    logits: Tensor, action_rewards: Tensor, progress: float, tau: float = 6.0
) -> Tensor:
    """Geometric aEPG whose weights pi^(1 - alpha) are divided by their mean over the batch.

    Args:
        logits: Shape (B, A).
        action_rewards: Shape (B, A).
        progress: t / T in [0, 1].
        tau: Steepness, at least 0.

    Returns:
        Loss of each sample, shape (B,).
    """
    check_shapes(logits, action_rewards)
    return _normalised(logits, action_rewards, ((1 - sigmoid_alpha(progress, tau)) * log_probs(logits)).exp())


def normalised_entropy_annealed(logits: Tensor, action_rewards: Tensor, progress: float = 0.0) -> Tensor:
    """`entropy_annealed` whose weights are divided by their mean over the batch; loss of each sample, shape (B,)."""
    check_shapes(logits, action_rewards)
    alpha = entropy_alpha(logits)[:, None]
    return _normalised(logits, action_rewards, alpha + (1 - alpha) * log_probs(logits).exp())


def entropy_alpha(logits: Tensor) -> Tensor:
    """Entropy of each output over its largest possible, log A: in [0, 1], shape (B,), without gradient."""
    count = allowed_actions(logits).sum(dim=1)
    return (entropy(logits) / count.to(logits.dtype).log().clamp(min=math.log(2))).detach().clamp(0, 1)


def _mixture(logits: Tensor, action_rewards: Tensor, alpha: float | Tensor) -> Tensor:
    explore = cross_entropy(logits, action_rewards)
    exploit = expected_policy_gradient(logits, action_rewards)
    return alpha * explore + (1 - alpha) * exploit


def _normalised(logits: Tensor, action_rewards: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy with weights of shape (B, A), divided by their mean over the rewarded actions of the batch."""
    weights = weights.detach()
    size = above_worst(action_rewards, logits)
    mean = (size * weights).sum() / size.sum().clamp(min=torch.finfo(size.dtype).tiny)
    weighted = size * weights / mean.clamp(min=torch.finfo(mean.dtype).tiny)
    return -(weighted * log_probs(logits)).sum(dim=1)

"""Variants of aEPG that this project adds: other weights between cross-entropy's and EPG's, and normalized weights.

Per sample the gradient of CE is g and that of EPG is pi(y|x) g. An objective between them weights g by a number between
1 and pi(y|x): aEPG by the arithmetic mean alpha + (1 - alpha) pi, its geometric variant by pi^(1 - alpha).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from agents.objectives.annealed import mixture_loss
from agents.objectives.masking import above_worst, allowed_actions, check_shapes, entropy, log_probs
from agents.objectives.robust import generalized_cross_entropy_loss
from agents.objectives.schedules import sigmoid_alpha


def entropy_aepg_loss(logits: Tensor, action_rewards: Tensor, progress: float = 0.0) -> Tensor:
    """As aEPG, with alpha of each sample measured instead of timed: the entropy of its output over log A.

    Uncertain samples learn by cross-entropy, certain ones by EPG, where a label that contradicts a certain output has
    hardly any weight. Alpha is held constant in the gradient.
    """
    check_shapes(logits, action_rewards)
    return mixture_loss(logits, action_rewards, entropy_alpha(logits))


def geometric_aepg_loss(logits: Tensor, action_rewards: Tensor, progress: float, tau: float = 6.0) -> Tensor:
    """sum_a R' (1 - pi^q) / q with q = 1 - alpha_t: generalized cross-entropy whose q rises as aEPG's alpha falls.

    The gradient weights a sample by pi^(1 - alpha), the geometric mean of CE's weight 1 and EPG's weight pi. The
    arithmetic mean, aEPG's weight, stays near alpha for a label of probability near 0.

    Args:
        tau: Steepness, at least 0.
    """
    return generalized_cross_entropy_loss(logits, action_rewards, q=1 - sigmoid_alpha(progress, tau))


def normalized_epg_loss(logits: Tensor, action_rewards: Tensor, progress: float = 0.0) -> Tensor:
    """EPG whose weights pi are divided by their mean over the batch, so that steps do not vanish where pi is small.

    The value is that of a weighted cross-entropy; the weights are held constant in the gradient.
    """
    check_shapes(logits, action_rewards)
    return _normalized(logits, action_rewards, log_probs(logits).exp())


def normalized_aepg_loss(logits: Tensor, action_rewards: Tensor, progress: float, tau: float = 6.0) -> Tensor:
    """As aEPG, with weights alpha + (1 - alpha) pi divided by their mean over the batch.

    Args:
        tau: Steepness, at least 0.
    """
    check_shapes(logits, action_rewards)
    alpha = sigmoid_alpha(progress, tau)
    return _normalized(logits, action_rewards, alpha + (1 - alpha) * log_probs(logits).exp())


def normalized_geometric_aepg_loss(logits: Tensor, action_rewards: Tensor, progress: float, tau: float = 6.0) -> Tensor:
    """Geometric aEPG whose weights pi^(1 - alpha) are divided by their mean over the batch.

    Args:
        tau: Steepness, at least 0.
    """
    check_shapes(logits, action_rewards)
    return _normalized(logits, action_rewards, ((1 - sigmoid_alpha(progress, tau)) * log_probs(logits)).exp())


def normalized_entropy_aepg_loss(logits: Tensor, action_rewards: Tensor, progress: float = 0.0) -> Tensor:
    """As `aepg-entropy`, with weights divided by their mean over the batch."""
    check_shapes(logits, action_rewards)
    alpha = entropy_alpha(logits)[:, None]
    return _normalized(logits, action_rewards, alpha + (1 - alpha) * log_probs(logits).exp())


def entropy_alpha(logits: Tensor) -> Tensor:
    """Entropy of each output over its largest possible, log A: in [0, 1], shape (B,), without gradient."""
    count = allowed_actions(logits).sum(dim=1)
    return (entropy(logits) / count.to(logits.dtype).log().clamp(min=math.log(2))).detach().clamp(0, 1)


def _normalized(logits: Tensor, action_rewards: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy with weights of shape (B, A), divided by their mean over the rewarded actions of the batch."""
    weights = weights.detach()
    size = above_worst(action_rewards, logits)
    mean = (size * weights).sum() / size.sum().clamp(min=torch.finfo(size.dtype).tiny)
    weighted = size * weights / mean.clamp(min=torch.finfo(mean.dtype).tiny)
    return -(weighted * log_probs(logits)).sum(dim=1)

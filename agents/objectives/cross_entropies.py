"""Cross-entropy, and its relatives that raise or lower the entropy of the output."""

from __future__ import annotations

import torch
from torch import Tensor

from agents.objectives.masking import above_worst, allowed_actions, check_shapes, entropy, log_probs
from cls_env.arguments import number


def cross_entropy_loss(logits: Tensor, action_rewards: Tensor, progress: float = 0.0) -> Tensor:
    """-sum_a R'(x, a) log pi(a|x), R' being R minus its smallest allowed value; with 0-1 rewards -log pi(y|x).

    The loss is at least 0. Because of the subtraction, rewards that are probabilities of labels do not give their
    cross-entropy: draw one label for each image instead.
    """
    check_shapes(logits, action_rewards)
    return -(above_worst(action_rewards, logits) * log_probs(logits)).sum(dim=1)


def focal_loss(logits: Tensor, action_rewards: Tensor, progress: float = 0.0, gamma: float = 1.0) -> Tensor:
    """-sum_a R'(x, a) (1 - pi(a|x))^gamma log pi(a|x): samples that are already right count less; R' as in `ce`.

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, eq. 4, https://arxiv.org/abs/1708.02002.

    Args:
        gamma: At least 0, where it is cross-entropy; 0.5, 1 or 2 in arXiv 2602.14078.
    """
    check_shapes(logits, action_rewards)
    gamma = number("gamma", gamma, "[0, inf)")
    log_probabilities = log_probs(logits)
    # At pi = 1 the power of a gamma below 1 has an infinite slope, which would multiply the zero of log pi.
    others = (-log_probabilities.expm1()).clamp(min=torch.finfo(logits.dtype).tiny)
    return -(above_worst(action_rewards, logits) * others.pow(gamma) * log_probabilities).sum(dim=1)


def label_smoothing_loss(logits: Tensor, action_rewards: Tensor, progress: float = 0.0, gamma: float = 0.1) -> Tensor:
    """(1 - gamma) CE + gamma KL(u || pi), u being uniform over the actions that are not masked.

    PyTorch's `label_smoothing` is larger by the constant gamma log A.
    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016,
    https://arxiv.org/abs/1512.00567; as written in https://arxiv.org/abs/2602.14078, where gamma is 0.01, 0.05 or 0.1.

    Args:
        gamma: In [0, 1].
    """
    check_shapes(logits, action_rewards)
    gamma = number("gamma", gamma, "[0, 1]")
    allowed = allowed_actions(logits)
    count = allowed.sum(dim=1)
    mean_log_probability = log_probs(logits).masked_fill(~allowed, 0).sum(dim=1) / count
    divergence = -count.to(logits.dtype).log() - mean_log_probability
    return (1 - gamma) * cross_entropy_loss(logits, action_rewards) + gamma * divergence


def confidence_penalty_loss(logits: Tensor, action_rewards: Tensor, progress: float = 0.0, beta: float = 0.1) -> Tensor:
    """CE - beta H(pi): a confident output costs, and the entropy of the output rises.

    Source: Pereyra et al., "Regularizing Neural Networks by Penalizing Confident Output Distributions", 2017,
    https://arxiv.org/abs/1701.06548.

    Args:
        beta: At least 0; 0.1 or 0.2 in arXiv 2602.14078.
    """
    check_shapes(logits, action_rewards)
    beta = number("beta", beta, "[0, inf)")
    return cross_entropy_loss(logits, action_rewards) - beta * entropy(logits)


def entropy_penalty_loss(logits: Tensor, action_rewards: Tensor, progress: float = 0.0, beta: float = 1.0) -> Tensor:
    """CE + beta H(pi): an uncertain output costs, and the entropy of the output falls.

    Source: https://arxiv.org/abs/2602.14078, where beta is 1.

    Args:
        beta: At least 0.
    """
    check_shapes(logits, action_rewards)
    beta = number("beta", beta, "[0, inf)")
    return cross_entropy_loss(logits, action_rewards) + beta * entropy(logits)

"""Cross-entropy and its relatives that move the entropy of the output: focal, smoothed, with a bonus or a penalty."""

from __future__ import annotations

import torch
from torch import Tensor

from agents.objectives.masking import (
    above_worst,
    allowed_actions,
    check_not_negative,
    check_shapes,
    check_share,
    entropy,
    log_probs,
)


def cross_entropy(logits: Tensor, action_rewards: Tensor, progress: float = 0.0) -> Tensor:
    """-sum_a R'(x, a) log pi(a|x), R' being R minus its smallest allowed value; with 0-1 rewards -log pi(y|x).

    So rewards that are the chances of labels do not make it their cross-entropy: draw a label for each image instead.

    Returns:
        Loss of each sample, shape (B,), at least 0.

    Raises:
        ValueError: Logits and rewards are not two matrices of one shape.
    """
    check_shapes(logits, action_rewards)
    return -(above_worst(action_rewards, logits) * log_probs(logits)).sum(dim=1)


def focal(logits: Tensor, action_rewards: Tensor, progress: float = 0.0, gamma: float = 1.0) -> Tensor:
    """-sum_a R'(x, a) (1 - pi(a|x))^gamma log pi(a|x): samples that are already right count less; R' as in `ce`.

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, eq. 4; the paper's gamma is 0.5, 1 or 2.

    Args:
        logits: Shape (B, A).
        action_rewards: Shape (B, A).
        progress: Not used.
        gamma: At least 0, where it is cross-entropy.

    Returns:
        Loss of each sample, shape (B,).

    Raises:
        ValueError: The shapes differ, or gamma is negative.
    """
    check_shapes(logits, action_rewards)
    gamma = check_not_negative("gamma", gamma)
    log_probabilities = log_probs(logits)
    # At pi = 1 the power of a gamma below 1 has an infinite slope, which would meet the zero of log pi.
    others = (-log_probabilities.expm1()).clamp(min=torch.finfo(logits.dtype).tiny)
    return -(above_worst(action_rewards, logits) * others.pow(gamma) * log_probabilities).sum(dim=1)


def label_smoothing(logits: Tensor, action_rewards: Tensor, progress: float = 0.0, gamma: float = 0.1) -> Tensor:
    """(1 - gamma) CE + gamma KL(u || pi), u being uniform over the actions that are not masked.

    Source: Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016; as written in arXiv 2602.14078, where
    gamma is 0.01, 0.05 or 0.1. PyTorch's `label_smoothing` is larger by the constant gamma log A.

    Args:
        logits: Shape (B, A).
        action_rewards: Shape (B, A).
        progress: Not used.
        gamma: In [0, 1].

    Returns:
        Loss of each sample, shape (B,).

    Raises:
        ValueError: The shapes differ, or gamma is outside [0, 1].
    """
    check_shapes(logits, action_rewards)
    gamma = check_share("gamma", gamma)
    allowed = allowed_actions(logits)
    count = allowed.sum(dim=1)
    mean_log_probability = log_probs(logits).masked_fill(~allowed, 0).sum(dim=1) / count
    divergence = -count.to(logits.dtype).log() - mean_log_probability
    return (1 - gamma) * cross_entropy(logits, action_rewards) + gamma * divergence


def confidence_penalty(logits: Tensor, action_rewards: Tensor, progress: float = 0.0, beta: float = 0.1) -> Tensor:
    """CE - beta H(pi): certainty costs, the entropy of the output rises.

    Source: Pereyra et al., "Regularizing Neural Networks by Penalizing Confident Output Distributions", 2017; in
    arXiv 2602.14078 beta is 0.1 or 0.2.

    Args:
        logits: Shape (B, A).
        action_rewards: Shape (B, A).
        progress: Not used.
        beta: At least 0.

    Returns:
        Loss of each sample, shape (B,).

    Raises:
        ValueError: The shapes differ, or beta is negative.
    """
    check_shapes(logits, action_rewards)
    beta = check_not_negative("beta", beta)
    return cross_entropy(logits, action_rewards) - beta * entropy(logits)


def entropy_penalty(logits: Tensor, action_rewards: Tensor, progress: float = 0.0, beta: float = 1.0) -> Tensor:
    """CE + beta H(pi): uncertainty costs, the entropy of the output falls.

    Source: arXiv 2602.14078, where beta is 1.

    Args:
        logits: Shape (B, A).
        action_rewards: Shape (B, A).
        progress: Not used.
        beta: At least 0.

    Returns:
        Loss of each sample, shape (B,).

    Raises:
        ValueError: The shapes differ, or beta is negative.
    """
    check_shapes(logits, action_rewards)
    beta = check_not_negative("beta", beta)
    return cross_entropy(logits, action_rewards) + beta * entropy(logits)

"""The reward of classifying an image: one rule for the single and the vector environment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rewards = NDArray[np.float32]


def zero_one_rewards(num_classes: int) -> Rewards:
    """R[label, action] = 1 where the action is the label, else 0: maximising it minimises the expected 0-1 loss.

    Source: arXiv 2602.14078, Proposition 1.

    Returns:
        float32 of shape (K, K).
    """
    return np.eye(num_classes, dtype=np.float32)


def reward(reward_matrix: Rewards, labels: NDArray[np.int64], actions: NDArray[np.int64]) -> Rewards:
    """The reward of each action.

    Args:
        reward_matrix: R[label, action], float32 of shape (K, K).
        labels: True labels, integers of shape (N,).
        actions: Chosen labels, integers of shape (N,).

    Returns:
        float32 of shape (N,).

    >>> reward(zero_one_rewards(3), np.array([0, 1, 2]), np.array([0, 2, 2]))
    array([1., 0., 1.], dtype=float32)
    """
    return reward_matrix[labels, actions]


def action_rewards(reward_matrix: Rewards, labels: NDArray[np.int64]) -> Rewards:
    """The reward that each possible action would have had: R(x, .) of full feedback.

    Returns:
        float32 of shape (N, K).
    """
    return reward_matrix[labels]

"""Reward matrices R[label, action], and pure functions of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cls_env.arguments import LARGEST_REWARD, real_array
from cls_env.specification import quoted

Rewards = NDArray[np.float32]


def zero_one_rewards(num_classes: int) -> Rewards:
    """R[label, action] = 1 where the action is the label, else 0: maximizing it minimizes the expected 0-1 loss.

    Source: https://arxiv.org/abs/2602.14078, Proposition 1.

    Returns:
        float32 of shape (K, K).
    """
    return np.eye(num_classes, dtype=np.float32)


def hierarchical_rewards(paths: Sequence[Sequence[str]]) -> Rewards:
    """R[label, action] = how near two classes are in a tree: 2 * common / (length + length), 1 for the class itself.

    `common` counts the steps from the root that both paths share.
    Source: Wu and Palmer, "Verb semantics and lexical selection", ACL 1994, https://arxiv.org/abs/cmp-lg/9406033.

    Args:
        paths: The path from the root to each class, in the order of the labels: ("Greek", "alpha").

    Returns:
        float32 of shape (K, K), in [0, 1].

    Raises:
        ValueError: A path is empty, not a sequence of words, or the path of another class too.

    >>> hierarchical_rewards([("Greek", "alpha"), ("Greek", "beta"), ("Latin", "a")]).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if isinstance(paths, str) or not isinstance(paths, Sequence):
        raise ValueError(f"paths must be a sequence with the path of each class, not {quoted(paths)}")
    ways = [_checked_path(path) for path in paths]
    if len(set(ways)) < len(ways):
        twice = next(way for way in ways if ways.count(way) > 1)
        raise ValueError(f"two classes have the path {twice}: lengthen both, so that they can be told apart")
    lengths = np.array([len(way) for way in ways], dtype=np.int64)
    steps = np.full((len(ways), lengths.max(initial=1)), "", dtype=object)
    for row, way in zip(steps, ways, strict=True):
        row[: len(way)] = way
    same = (steps[:, None] == steps) & (steps != "")  # [K, K, longest path]
    common = np.logical_and.accumulate(same, axis=2).sum(axis=2)
    return (2 * common / (lengths[:, None] + lengths)).astype(np.float32)


def _checked_path(path: Sequence[str]) -> tuple[str, ...]:
    words = () if isinstance(path, str) or not isinstance(path, Sequence) else tuple(path)
    if not words or not all(isinstance(word, str) and word for word in words):
        raise ValueError(
            f"a class's path is a sequence of words from the root, as ('Greek', 'alpha'), not {quoted(path)}"
        )
    return words


def cost_sensitive_rewards(costs: ArrayLike) -> Rewards:
    """R[label, action] = minus the cost of the mistake, 0 on the diagonal.

    Source: Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.

    Args:
        costs: C[label, action] of shape (K, K), with zeros on the diagonal; or of shape (K,), the cost of any mistake
            on an image of each class. Finite and not negative.

    Returns:
        float32 of shape (K, K), not positive.

    Raises:
        ValueError: The costs have another shape, one is negative or not finite, or a right answer costs something.

    >>> cost_sensitive_rewards([1, 5]).tolist()
    [[0.0, -1.0], [-5.0, 0.0]]
    """
    given = real_array("costs", costs)
    if given.ndim not in (1, 2) or given.size == 0 or (given.ndim == 2 and given.shape[0] != given.shape[1]):
        raise ValueError(f"costs must be of shape (K, K), or (K,) for one cost of each class, not {given.shape}")
    if not ((given >= 0).all() and (given <= LARGEST_REWARD).all()):
        raise ValueError(f"costs must be finite, not negative, and at most {LARGEST_REWARD:.3g}: R is minus the cost")
    if given.ndim == 1:
        given = given[:, None] * (1 - np.eye(len(given)))
    if np.diagonal(given).any():
        raise ValueError("costs[k, k] is the cost of a right answer and must be 0")
    return (0 - given).astype(np.float32)


def with_abstention(reward_matrix: Rewards, abstain_reward: float) -> Rewards:
    """R with one more action, the last, of the same reward for every label: the reject option.

    Source: Chow, "On optimum recognition error and reject tradeoff", 1970, https://doi.org/10.1109/TIT.1970.1054406.

    Args:
        reward_matrix: R[label, action], float32 of shape (K, K).
        abstain_reward: Of the additional action.

    Returns:
        float32 of shape (K, K + 1).

    >>> with_abstention(zero_one_rewards(2), 0.25).tolist()
    [[1.0, 0.0, 0.25], [0.0, 1.0, 0.25]]
    """
    return np.pad(reward_matrix, ((0, 0), (0, 1)), constant_values=abstain_reward)


def action_rewards(reward_matrix: Rewards, labels: NDArray[np.int64]) -> Rewards:
    """The rewards of all actions for each image: R(x, .), as full feedback gives them.

    Args:
        reward_matrix: R[label, action], float32 of shape (K, A).
        labels: True labels, integers of shape (N,).

    Returns:
        float32 of shape (N, A).
    """
    return np.take(reward_matrix, labels, axis=0)  # several times as fast as reward_matrix[labels]


def reward(rewards: Rewards, actions: NDArray[np.int64]) -> Rewards:
    """The reward of the chosen action of each image.

    Args:
        rewards: Of every action, float32 of shape (N, A).
        actions: Integers of shape (N,).

    Returns:
        float32 of shape (N,).

    >>> reward(action_rewards(zero_one_rewards(3), np.array([0, 1, 2])), np.array([0, 2, 2]))
    array([1., 0., 1.], dtype=float32)
    """
    return rewards[np.arange(len(actions)), actions]

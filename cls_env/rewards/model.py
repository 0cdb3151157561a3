"""The reward model of an environment: the reward matrix, noise on it, and an action that abstains."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cls_env.arguments import LARGEST_REWARD, finite_reward, real_array
from cls_env.rewards.matrices import Rewards, action_rewards, with_abstention, zero_one_rewards
from cls_env.rewards.noise import make_reward_noise
from cls_env.specification import quoted

RewardMatrix = ArrayLike | Callable[[tuple[str, ...]], ArrayLike]


class RewardModel:
    """Expected and sampled rewards of all actions.

    Noise applies to the K classes only; the reward of abstaining is constant.

    Args:
        class_names: In class order, the order in which tasks bring them.
        reward_matrix: R[label, action] of shape (K, K), or a function that returns it, called with the tuple of class
            names; by default 1 on the diagonal, else 0.
        reward_noise: A specification of `REWARD_NOISES`, or None.
        abstain_reward: Reward of an additional action K, whatever the label; None for no such action.

    Attributes:
        expected: R[label, action] without noise, float32 of shape (K, A), A being K or K + 1.
        reward_reveals_success: Whether success can be read off the reward, so that `info` may report it.
        reward_reveals_regret: Whether the reward of an action tells its regret.

    Raises:
        ValueError: The matrix has another shape or is not finite, or another argument is wrong.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        reward_matrix: RewardMatrix | None = None,
        reward_noise: str | None = None,
        abstain_reward: float | None = None,
    ) -> None:
        matrix = _checked_matrix(reward_matrix, tuple(class_names))
        self._num_classes, self._low, self._high = len(matrix), float(matrix.min()), float(matrix.max())
        self._noise = None if reward_noise is None else make_reward_noise(reward_noise)
        constant = None if abstain_reward is None else finite_reward("abstain_reward", abstain_reward)
        self.expected = matrix if constant is None else with_abstention(matrix, constant)
        self._best: Rewards = self.expected.max(axis=1)
        self.reward_reveals_success = reward_matrix is None and reward_noise is None
        self.reward_reveals_regret = self.reward_reveals_success and abstain_reward is None

    @property
    def num_actions(self) -> int:
        """A: the number of classes, plus 1 with the action that abstains."""
        return self.expected.shape[1]

    @property
    def is_noisy(self) -> bool:
        """Whether `draw` needs a generator."""
        return self._noise is not None

    def draw(self, labels: NDArray[np.int64], generator: np.random.Generator) -> Rewards:
        """Sample the reward of every action for each of some images.

        Args:
            labels: int64 of shape (N,).
            generator: Draws the noise.

        Returns:
            A new float32 array of shape (N, A).
        """
        rewards = action_rewards(self.expected, labels)
        if self._noise is not None:
            of_classes = rewards[:, : self._num_classes]
            of_classes[:] = self._noise(of_classes, self._low, self._high, generator)
        return rewards

    def regret(self, labels: NDArray[np.int64], actions: NDArray[np.int64]) -> Rewards:
        """The best expected reward of an image minus that of the action taken.

        Args:
            labels: int64 of shape (N,).
            actions: int64 of shape (N,).

        Returns:
            float32 of shape (N,), at least 0.
        """
        return self._best[labels] - self.expected[labels, actions]


def _checked_matrix(given: RewardMatrix | None, class_names: tuple[str, ...]) -> Rewards:
    count = len(class_names)
    if given is None:
        return zero_one_rewards(count)
    matrix = real_array("reward_matrix", _called(given, class_names) if callable(given) else given)
    if matrix.shape != (count, count):
        raise ValueError(f"reward_matrix must be R[label, action] of shape ({count}, {count}), not {matrix.shape}")
    if not (np.abs(matrix) <= LARGEST_REWARD).all():
        raise ValueError(f"reward_matrix must hold finite numbers of at most {LARGEST_REWARD:.3g} in size")
    return matrix.astype(np.float32)


def _called(function: Callable[[tuple[str, ...]], ArrayLike], class_names: tuple[str, ...]) -> ArrayLike:
    try:
        return function(class_names)
    except Exception as error:
        raise ValueError(f"reward_matrix, a function of the class names, failed: {quoted(error)}") from error

"""A bandit that predicts rewards: the ViT's outputs are values, and exploration turns them into actions."""

from __future__ import annotations

import math
from typing import Any

import torch
from gymnasium.vector import VectorEnv
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from torch import Tensor
from typing_extensions import Unpack

from agents.algorithms.exploration import make_exploration
from agents.algorithms.one_step import OneStepAlgorithm
from agents.methods import Batch
from agents.optimization.divergence import LARGEST_LOGIT
from agents.optimization.learning_arguments import Learning
from agents.policy import ViTPolicy
from cls_env.arguments import word


def squared_error(values: Tensor, action_rewards: Tensor) -> Tensor:
    """sum_a (v(x, a) - r)^2 over the actions whose reward is known.

    Args:
        values: Predicted rewards, shape (B, A).
        action_rewards: Shape (B, A); NaN where unknown.

    Returns:
        Shape (B,).

    >>> squared_error(torch.tensor([[0.5, 0.0]]), torch.tensor([[1.0, float("nan")]]))
    tensor([0.2500])
    """
    known = ~action_rewards.isnan()
    return (values.where(known, 0.0) - action_rewards.where(known, 0.0)).square().sum(dim=1)


def only_chosen(probabilities: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
    """Rewards of all actions where those of the chosen ones are known: NaN elsewhere, shape (B, A)."""
    return torch.full_like(probabilities, torch.nan).scatter(1, actions[:, None], rewards[:, None])


class ValueBandit(OneStepAlgorithm):
    """Predicts the reward of each action by the squared error of the chosen one, on the same ViT as the policies.

    What the head gives are values, not logits: greedy predictions are right, the entropy of a softmax over them says
    little. A `learn` call is one task, see `OneStepAlgorithm`.

    Args:
        policy: `"ViTPolicy"`, or a subclass of it.
        env: As `OneStepAlgorithm` takes it.
        exploration: A name in `agents.algorithms.exploration.EXPLORATIONS`, with parameters or without:
            `"epsilon-greedy:epsilon=0.1"`, `"boltzmann:temperature=0.1"`.
        learning_rate: As in `OneStepAlgorithm`.
        batch_size: As in `OneStepAlgorithm`.
        **learning: The further arguments of `OneStepAlgorithm`.

    Raises:
        ValueError: An argument is unknown or out of range, or does not fit the environment.
    """

    own_arguments = ("exploration",)
    objective = "values"

    def __init__(
        self,
        policy: str | type[ViTPolicy],
        env: GymEnv | VectorEnv[Any, Any, Any] | str | None,
        exploration: str = "epsilon-greedy",
        learning_rate: float | Schedule = 5e-4,
        batch_size: int = 32,
        **learning: Unpack[Learning],
    ) -> None:
        self.exploration = exploration
        super().__init__(policy, env, learning_rate, batch_size, **learning)

    def _take_arguments(self) -> None:
        self.exploration = word("exploration", self.exploration)
        self._explore = make_exploration(self.exploration)
        super()._take_arguments()

    def _behavior_policy(self, logits: Tensor, progress: float) -> Tensor:
        return self._explore(logits, progress)

    def _observe_bandit_reward(self, batch: Batch, probabilities: Tensor, actions: Tensor, rewards: Tensor) -> None:
        batch.action_rewards = only_chosen(probabilities, actions, rewards)

    def _largest_output(self) -> float:
        """Predicted rewards are as large as rewards; before the first one any size is sensible."""
        return math.inf if self._largest_reward is None else LARGEST_LOGIT * max(1.0, self._largest_reward)

    def _loss(self, logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        return squared_error(logits, action_rewards)

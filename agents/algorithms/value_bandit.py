"""A bandit that predicts rewards: the outputs of the ViT are action values, from which exploration draws actions."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from typing_extensions import Unpack

from agents.algorithms.agent_arguments import EnvArgument, PolicyArgument
from agents.algorithms.exploration import make_exploration
from agents.algorithms.one_step import OneStepAlgorithm
from agents.methods import Batch
from agents.optimization.divergence import LARGEST_LOGIT
from agents.optimization.learning_arguments import LearnerKwargs
from cls_env.arguments import word


def squared_error(values: Tensor, action_rewards: Tensor) -> Tensor:
    """sum_a (v(x, a) - r(x, a))^2 over the actions with a known reward.

    Args:
        values: Predicted rewards, shape (B, A).
        action_rewards: Shape (B, A); NaN if unknown.

    Returns:
        Loss of each sample, shape (B,).

    >>> squared_error(torch.tensor([[0.5, 0.0]]), torch.tensor([[1.0, float("nan")]]))
    tensor([0.2500])
    """
    known = ~action_rewards.isnan()
    return (values.where(known, 0.0) - action_rewards.where(known, 0.0)).square().sum(dim=1)


def only_chosen(probabilities: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
    """Rewards of all actions, shape (B, A): NaN for those that were not chosen."""
    return torch.full_like(probabilities, torch.nan).scatter(1, actions[:, None], rewards[:, None])


class ValueBandit(OneStepAlgorithm):
    """Predicts the reward of each action; it minimizes the squared error of the prediction for the chosen one.

    The head gives values, not logits: greedy predictions are right, but the entropy of their softmax means little. A
    `learn` call is one task, see `OneStepAlgorithm`.

    Args:
        policy: As in `EPG`, like `env` and `**learning`.
        env: The environment.
        exploration: A name in `agents.algorithms.exploration.EXPLORATIONS`, with parameters or without:
            `"epsilon-greedy:epsilon=0.1"`, `"boltzmann:temperature=0.1"`.
        **learning: `learning_rate`, `batch_size`, `policy_kwargs`, `seed`, ...

    Raises:
        ValueError: An argument is unknown or out of range, or does not fit the environment.
    """

    own_arguments = ("exploration",)
    objective = "values"

    def __init__(
        self,
        policy: PolicyArgument,
        env: EnvArgument,
        exploration: str = "epsilon-greedy",
        **learning: Unpack[LearnerKwargs],
    ) -> None:
        self.exploration = exploration
        super().__init__(policy, env, **learning)

    def _check_arguments(self) -> None:
        self.exploration = word("exploration", self.exploration)
        self._explore = make_exploration(self.exploration)
        super()._check_arguments()

    def _behavior_policy(self, logits: Tensor, progress: float) -> Tensor:
        return self._explore(logits, progress)

    def _observe_bandit_reward(self, batch: Batch, probabilities: Tensor, actions: Tensor, rewards: Tensor) -> None:
        batch.action_rewards = only_chosen(probabilities, actions, rewards)

    def _largest_output(self) -> float:
        """Predicted rewards are as large as rewards; before the first reward any size is plausible."""
        return math.inf if self._largest_reward is None else LARGEST_LOGIT * max(1.0, self._largest_reward)

    def _loss(self, logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        return squared_error(logits, action_rewards)

"""REINFORCE: the policy gradient from the reward of the chosen action alone."""

from __future__ import annotations

from typing import Any

from gymnasium.vector import VectorEnv
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from torch import Tensor
from typing_extensions import Unpack

from agents.algorithms.one_step import OneStepAlgorithm
from agents.methods import Batch
from agents.objectives import expected_policy_gradient_loss
from agents.optimization.learning_arguments import Learning
from agents.policy import ViTPolicy
from cls_env.arguments import word
from cls_env.specification import lookup

BASELINES = {"none": False, "running-mean": True}
_MEMORY = 0.9


def importance_weighted(probabilities: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
    """An unbiased estimate of the rewards of all actions from that of one: r / p at the chosen action, else 0.

    The gradient of EPG's objective under it is REINFORCE's, r grad log pi(a|x), where p is the policy's own.
    Source: Horvitz and Thompson, 1952; as an estimate for bandits, Dudik et al., "Doubly Robust Policy Evaluation and
    Learning", 2011.

    Args:
        probabilities: With which actions were chosen, shape (B, A).
        actions: int64 of shape (B,).
        rewards: Of the chosen actions, shape (B,).

    Returns:
        Shape (B, A).

    >>> import torch
    >>> importance_weighted(torch.tensor([[0.25, 0.75]]), torch.tensor([0]), torch.tensor([1.0]))
    tensor([[4., 0.]])
    """
    chosen = actions[:, None]
    weighted = rewards[:, None].to(probabilities.dtype) / probabilities.gather(1, chosen)
    return probabilities.new_zeros(probabilities.shape).scatter(1, chosen, weighted)


class Reinforce(OneStepAlgorithm):
    """REINFORCE on one-step environments, which may keep the label and the rewards of other actions to themselves.

    One action is drawn for each image from the policy, among the classes of `info["action_mask"]`, and what it was paid
    is all that is learned from. With full feedback it learns the same: `EPG(objective="reinforce:samples=4")` is the
    one that draws several. A `learn` call is one task, see `OneStepAlgorithm`.

    Source: Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning", 1992.

    Args:
        policy: `"ViTPolicy"`, or a subclass of it.
        env: As `OneStepAlgorithm` takes it.
        baseline: What is subtracted from rewards: `"none"`, or `"running-mean"`, the mean reward of earlier batches of
            the task, of which each new batch replaces a tenth; before the first one, 0.
        learning_rate: As in `OneStepAlgorithm`.
        batch_size: As in `OneStepAlgorithm`.
        **learning: The further arguments of `OneStepAlgorithm`.

    Raises:
        ValueError: An argument is unknown or out of range, or does not fit the environment.
    """

    own_arguments = ("baseline",)
    objective = "reinforce"

    def __init__(
        self,
        policy: str | type[ViTPolicy],
        env: GymEnv | VectorEnv[Any, Any, Any] | str | None,
        baseline: str = "none",
        learning_rate: float | Schedule = 5e-4,
        batch_size: int = 32,
        **learning: Unpack[Learning],
    ) -> None:
        self.baseline = baseline
        self._mean_reward: float | None = None
        super().__init__(policy, env, learning_rate, batch_size, **learning)

    def _take_arguments(self) -> None:
        self.baseline = word("baseline", self.baseline)
        self._keeps_mean = lookup("baseline", self.baseline, BASELINES)
        super()._take_arguments()

    def _observe_bandit_reward(self, batch: Batch, probabilities: Tensor, actions: Tensor, rewards: Tensor) -> None:
        batch.action_rewards = importance_weighted(probabilities, actions, rewards - (self._mean_reward or 0.0))
        if self._keeps_mean:
            seen = rewards.mean().item()
            self._mean_reward = (
                seen if self._mean_reward is None else _MEMORY * self._mean_reward + (1 - _MEMORY) * seen
            )

    def _loss(self, logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        return expected_policy_gradient_loss(logits, action_rewards)

    def _reset_task_state(self, seed: int) -> None:
        self._mean_reward = None

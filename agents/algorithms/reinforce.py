"""REINFORCE: the policy gradient from the reward of the chosen action alone."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import Unpack

from agents.algorithms.agent_arguments import EnvArgument, PolicyArgument
from agents.algorithms.one_step import OneStepAlgorithm
from agents.methods import Batch
from agents.objectives import expected_policy_gradient_loss
from agents.objectives.policy_gradients import running_mean
from agents.optimization.learning_arguments import LearnerKwargs
from cls_env.arguments import word
from cls_env.specification import lookup

BASELINES = {"none": False, "running-mean": True}


def importance_weighted(probabilities: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
    """An unbiased estimate of the rewards of all actions from that of one: r / p at the chosen action, else 0.

    With p = pi(a|x), the gradient of EPG's objective under this estimate is REINFORCE's, r grad log pi(a|x).
    Source: Horvitz and Thompson, 1952; for bandits, Dudik et al., "Doubly Robust Policy Evaluation and Learning", ICML
    2011 (https://arxiv.org/abs/1103.4601).

    Args:
        probabilities: p, with which the actions were drawn, shape (B, A).
        actions: Chosen actions, int64 of shape (B,).
        rewards: r, of the chosen actions, shape (B,).

    Returns:
        Estimates, shape (B, A).

    >>> import torch
    >>> importance_weighted(torch.tensor([[0.25, 0.75]]), torch.tensor([0]), torch.tensor([1.0]))
    tensor([[4., 0.]])
    """
    chosen = actions[:, None]
    weighted = rewards[:, None].to(probabilities.dtype) / probabilities.gather(1, chosen)
    return probabilities.new_zeros(probabilities.shape).scatter(1, chosen, weighted)


class Reinforce(OneStepAlgorithm):
    """REINFORCE on one-step environments with bandit feedback: only the reward of the chosen action is known.

    The policy draws one action for each image, among the classes of `info["action_mask"]`. With full feedback it learns
    the same; `EPG(objective="reinforce:samples=4")` draws several actions. A `learn` call is one task, see
    `OneStepAlgorithm`.

    Source: Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning",
    Machine Learning 1992 (https://doi.org/10.1007/BF00992696).

    Args:
        policy: As in `EPG`, like `env` and `**learning`.
        env: The environment.
        baseline: What is subtracted from rewards. `"none"`, or `"running-mean"`: the mean reward of earlier batches of
            the task, of which each new batch replaces a tenth; 0 for the first batch.
        **learning: `learning_rate`, `batch_size`, `policy_kwargs`, `seed`, ...

    Raises:
        ValueError: An argument is unknown or out of range, or does not fit the environment.
    """

    own_arguments = ("baseline",)
    objective = "reinforce"

    def __init__(
        self,
        policy: PolicyArgument,
        env: EnvArgument,
        baseline: str = "none",
        **learning: Unpack[LearnerKwargs],
    ) -> None:
        self.baseline = baseline
        self._mean_reward: float | None = None
        super().__init__(policy, env, **learning)

    def _check_arguments(self) -> None:
        self.baseline = word("baseline", self.baseline)
        self._use_baseline = lookup("baseline", self.baseline, BASELINES)
        super()._check_arguments()

    def _observe_bandit_reward(self, batch: Batch, probabilities: Tensor, actions: Tensor, rewards: Tensor) -> None:
        batch.action_rewards = importance_weighted(probabilities, actions, rewards - (self._mean_reward or 0.0))
        if self._use_baseline:
            self._mean_reward = running_mean(self._mean_reward, rewards.mean().item())

    def _loss(self, logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        return expected_policy_gradient_loss(logits, action_rewards)

    def _reset_task_state(self, seed: int) -> None:
        self._mean_reward = None

    def _task_state(self) -> dict[str, Tensor]:
        mean = self._mean_reward
        return {} if mean is None else {"mean_reward": torch.tensor(mean, dtype=torch.float64)}

    def _load_task_state(self, tensors: dict[str, Tensor]) -> None:
        self._mean_reward = tensors["mean_reward"].item() if "mean_reward" in tensors else None

"""Linear contextual bandits on the features of a frozen backbone: LinUCB and Thompson sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from agents.algorithms.agent_arguments import EnvArgument, PolicyArgument
from agents.algorithms.one_step import OneStepAlgorithm
from agents.algorithms.value_bandit import only_chosen, squared_error
from agents.methods import Batch
from agents.networks.config import PolicyConfig
from agents.networks.weights import check_finite, load_tensors
from agents.optimization.divergence import Advice
from agents.optimization.learning_arguments import LearnerKwargs, policy_arguments
from cls_env.arguments import number, word
from cls_env.specification import lookup

RULES = {"ucb": False, "thompson": True}


class RidgeArms(nn.Module):
    """Ridge regression of the reward on unit features, one for each arm.

    Arm a stores the inverse of A = ridge I + sum x x^T and b = sum r x, over the samples for which it was chosen.

    Args:
        num_arms: K.
        width: D, of the features.
        ridge: Above 0.
    """

    inverse: Tensor
    """A^-1 of each arm, float64 of shape (K, D, D)."""
    moment: Tensor
    """b of each arm, float64 of shape (K, D)."""

    def __init__(self, num_arms: int, width: int, ridge: float) -> None:
        super().__init__()
        self.ridge = ridge
        identity = torch.eye(width, dtype=torch.float64) / ridge
        self.register_buffer("inverse", identity.repeat(num_arms, 1, 1))
        self.register_buffer("moment", torch.zeros(num_arms, width, dtype=torch.float64))

    def coefficients(self, arms: Sequence[int]) -> Tensor:
        """Theta = A^-1 b of n arms, float64 of shape (n, D)."""
        return torch.einsum("kde,ke->kd", self.inverse[arms], self.moment[arms])

    def widths(self, features: Tensor, arms: Sequence[int]) -> Tensor:
        """Standard deviations sqrt(x^T A^-1 x) of n arms for features of shape (B, D), float64 of shape (B, n)."""
        return torch.einsum("bd,kde,be->bk", features, self.inverse[arms], features).clamp(min=0).sqrt()

    def remap_actions(self, new_index: Tensor, num_actions: int) -> None:
        """Move the arms to their positions in another action space; new arms have no samples.

        Args:
            new_index: The new position of each arm, -1 if it has none; int64 of shape (K,).
            num_actions: Size of the other action space.
        """
        fresh = RidgeArms(num_actions, self.moment.shape[1], self.ridge).to(self.moment.device)
        kept = new_index >= 0
        fresh.inverse[new_index[kept]] = self.inverse[kept]
        fresh.moment[new_index[kept]] = self.moment[kept]
        self.inverse, self.moment = fresh.inverse, fresh.moment

    def observe(self, features: Tensor, arms: Tensor, rewards: Tensor) -> None:
        """Add samples, each by a Sherman-Morrison update.

        Args:
            features: Unit features, float64 of shape (B, D).
            arms: Chosen arms, int64 of shape (B,).
            rewards: Their rewards, shape (B,).
        """
        for x, arm, reward in zip(features, arms.tolist(), rewards, strict=True):
            direction = self.inverse[arm] @ x
            self.inverse[arm] -= torch.outer(direction, direction) / (1 + x @ direction)
            self.moment[arm] += reward * x


class LinearBandit(OneStepAlgorithm):
    """A linear model of the reward for each class, on unit features of the frozen backbone, without gradients.

    Rule `"ucb"` takes the action with the largest theta_a x + exploration sqrt(x^T A_a^-1 x), and `"thompson"` the one
    with the largest draw from N(theta_a x, exploration^2 x^T A_a^-1 x). Memory: K D^2 numbers of 8 bytes, so 15 MB for
    50 classes and the 192 features of the micro ViT, 0.9 GB for 200 classes and a ViT-B.

    Sources: Li et al., "A Contextual-Bandit Approach to Personalized News Article Recommendation", WWW 2010, algorithm
    1 (https://arxiv.org/abs/1003.0146); Agrawal and Goyal, "Thompson Sampling for Contextual Bandits with Linear
    Payoffs", ICML 2013 (https://arxiv.org/abs/1209.3352).

    Args:
        policy: As in `EPG`, like `env` and `**learning`.
        env: The environment.
        rule: `"ucb"` or `"thompson"`.
        exploration: LinUCB's alpha or Thompson's v, at least 0; both rules are greedy at 0.
        ridge: Regularization of the regressions, above 0.
        **learning: `batch_size`, `policy_kwargs`, `seed`, ... Arguments on gradients have no effect. `policy_kwargs`
            must leave `peft` and `method` at `"none"` and `"sequential"`, the defaults here.

    Raises:
        ValueError: An argument is unknown or out of range, or does not fit the environment.
    """

    own_arguments = ("rule", "exploration", "ridge")
    objective = "regression"
    _arms: RidgeArms | None = None

    @property
    def regressions(self) -> RidgeArms:
        """The ridge regressions, one for each class."""
        assert self._arms is not None
        return self._arms

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        """Names of what `get_parameters` returns: the policy and the regressions."""
        return ["policy", "regressions"], []

    def __init__(
        self,
        policy: PolicyArgument,
        env: EnvArgument,
        rule: str = "ucb",
        exploration: float = 0.3,
        ridge: float = 1.0,
        **learning: Unpack[LearnerKwargs],
    ) -> None:
        self.rule, self.exploration, self.ridge = rule, exploration, ridge
        learning["policy_kwargs"] = {"peft": "none"} | policy_arguments(learning.get("policy_kwargs"))
        super().__init__(policy, env, **learning)

    def _check_arguments(self) -> None:
        self.rule = word("rule", self.rule)
        self._draws = lookup("rule", self.rule, RULES)
        self.exploration, self.ridge = number("exploration", self.exploration), number("ridge", self.ridge)
        if not (0 <= self.exploration < math.inf and 0 < self.ridge < math.inf):
            raise ValueError(
                f"exploration must be at least 0 and ridge above 0, not {self.exploration} and {self.ridge}"
            )
        if self._arms is not None and self._arms.ridge != self.ridge:
            raise ValueError(
                f"ridge is {self._arms.ridge:g} in the regressions and can't become {self.ridge:g}: make a new agent"
            )
        super()._check_arguments()

    def _check_config(self, config: PolicyConfig) -> None:
        if (config.peft, config.method) != ("none", "sequential"):
            raise ValueError(
                "LinearBandit learns on a frozen backbone: peft must be 'none' and method 'sequential', not "
                f"{config.peft!r} and {config.method!r}"
            )

    def _setup_model(self) -> None:
        super()._setup_model()
        width = self.policy.network.head.weight.shape[1]
        self._arms = RidgeArms(self._num_actions, width, self.ridge).to(self.device)

    def _unit_features(self, batch: Batch) -> Tensor:
        return nn.functional.normalize(batch.frozen_features(self.policy.network.encode).double(), dim=1)

    def _logits(self, batch: Batch) -> Tensor:
        """The index of each action that the rule maximizes, minus infinity for those outside the task."""
        features = self._unit_features(batch)
        arms = batch.action_mask.any(dim=0).nonzero().squeeze(1).tolist()
        width = self.exploration * self.regressions.widths(features, arms)
        if self._draws:
            width *= torch.randn(width.shape, generator=self._actions_generator, device=width.device)
        indices = features.new_full((len(features), self._num_actions), -torch.inf)
        indices[:, arms] = features @ self.regressions.coefficients(arms).T + width
        return indices

    def _behavior_policy(self, logits: Tensor, progress: float) -> Tensor:
        return nn.functional.one_hot(logits.argmax(dim=1), logits.shape[1]).float()

    def _observe_bandit_reward(self, batch: Batch, probabilities: Tensor, actions: Tensor, rewards: Tensor) -> None:
        self.regressions.observe(self._unit_features(batch), actions, rewards)
        batch.action_rewards = only_chosen(probabilities, actions, rewards)

    def _loss(self, logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        return squared_error(logits, action_rewards)

    @torch.no_grad()
    def _update(self, batches: list[Batch], logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        """Copy the coefficients to the head, so that the policy is greedy; no gradient is taken."""
        self.policy.network.head.weight.copy_(self.regressions.coefficients(self.policy.network.head.actions.tolist()))
        return self._loss(logits, action_rewards, progress).mean()

    def _largest_output(self) -> float:
        return math.inf  # no gradient is taken, and a small ridge makes wide intervals

    def _advice(self) -> Advice:
        return Advice(
            f"ridge {self.ridge:g} and exploration {self.exploration:g}", "raise ridge, or lower a huge exploration"
        )

    def _remap_actions(self, new_index: Tensor, num_actions: int) -> None:
        super()._remap_actions(new_index, num_actions)
        self.regressions.remap_actions(new_index.to(self.device), num_actions)

    def _state(self) -> dict[str, Tensor]:
        return self.regressions.state_dict()

    def _resume(self, tensors: dict[str, Tensor]) -> None:
        load_tensors(self.regressions, tensors, "the saved regression")
        check_finite(tensors, "the saved regression")

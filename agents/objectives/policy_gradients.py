"""The policy gradient: in closed form over all actions, and by sampled actions."""

from __future__ import annotations

import torch
from torch import Tensor

from agents.objectives.masking import check_shapes, log_probs
from cls_env.arguments import one_of, whole_number

BASELINE_DECAY = 0.9
"""Share of the earlier mean reward that a batch leaves in the running mean."""


def running_mean(mean: float | None, reward: float) -> float:
    """The running mean of the rewards of batches, which REINFORCE subtracts as a baseline.

    Args:
        mean: That of the earlier batches of the task; None before the first one.
        reward: Mean reward of a new batch.

    >>> running_mean(None, 0.5)
    0.5
    >>> round(running_mean(0.5, 1.0), 2)
    0.55
    """
    return reward if mean is None else BASELINE_DECAY * mean + (1 - BASELINE_DECAY) * reward


def expected_policy_gradient_loss(logits: Tensor, action_rewards: Tensor, progress: float = 0.0) -> Tensor:
    """-sum_a pi(a|x) R(x, a), the negative expected reward; with 0-1 rewards -pi(y|x).

    Its gradient is REINFORCE's in expectation over actions, and per sample pi(y|x) times cross-entropy's.
    The loss is in [-max R, -min R].
    Source: https://arxiv.org/abs/2602.14078, expected policy gradient.
    """
    check_shapes(logits, action_rewards)
    return -(action_rewards * logits.softmax(dim=1)).sum(dim=1)


def reinforce_loss(logits: Tensor, action_rewards: Tensor, actions: Tensor, baseline: float = 0.0) -> Tensor:
    """-1/n sum_i (R(x, a_i) - b) log pi(a_i|x) of n sampled actions.

    Its value says little. For actions drawn from pi its gradient is an unbiased estimate of EPG's, with any baseline
    that does not depend on them.
    Source: Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning",
    Machine Learning 1992, https://doi.org/10.1007/BF00992696.

    Args:
        logits: Floating, shape (B, A).
        action_rewards: R(x, a) of every action, shape (B, A).
        actions: int64 of shape (B, n), drawn from the policy.
        baseline: b.

    Returns:
        Loss of each sample, shape (B,).

    Raises:
        ValueError: The shapes do not fit.
    """
    check_shapes(logits, action_rewards)
    if actions.ndim != 2 or len(actions) != len(logits):
        raise ValueError(f"actions must have shape (B, n), B being {len(logits)}, not {tuple(actions.shape)}")
    advantages = action_rewards.gather(1, actions) - baseline
    return -(advantages * log_probs(logits).gather(1, actions)).mean(dim=1)


class SampledPolicyGradient:
    """REINFORCE as an objective: it draws actions itself, in addition to the one that the environment gets.

    Args:
        samples: Actions drawn for each image, at least 1.
        baseline: `"none"`, or `"running-mean"`: the mean reward of the earlier batches of the task, of which each new
            batch replaces a tenth. For the first batch it is 0.

    Raises:
        ValueError: An argument is out of range or unknown.
    """

    def __init__(self, samples: int = 1, baseline: str = "none") -> None:
        self.samples = whole_number("samples", samples, least=1)
        self.use_baseline = one_of("baseline", baseline, ("none", "running-mean")) == "running-mean"
        self.begin_task(0)

    def begin_task(self, seed: int) -> None:
        """Forget the rewards of earlier tasks, and draw from `seed` on."""
        self._seed = seed
        self._generator: torch.Generator | None = None
        self._mean_reward: float | None = None

    def training_state(self) -> dict[str, Tensor]:
        """The random state and the mean reward, for a run that is stopped within a task."""
        state = {} if self._generator is None else {"generator": self._generator.get_state()}
        if self._mean_reward is not None:
            state["mean_reward"] = torch.tensor(self._mean_reward, dtype=torch.float64)
        return state

    def load_training_state(self, tensors: dict[str, Tensor], device: torch.device) -> None:
        """Go on within a task from what `training_state` returned.

        Args:
            tensors: The state.
            device: Of the logits.
        """
        if "generator" in tensors:
            self._generator = torch.Generator(device)
            self._generator.set_state(tensors["generator"])
        self._mean_reward = tensors["mean_reward"].item() if "mean_reward" in tensors else None

    def __call__(self, logits: Tensor, action_rewards: Tensor, progress: float = 0.0) -> Tensor:
        """Loss of each sample, shape (B,); see `reinforce_loss`."""
        check_shapes(logits, action_rewards)
        if self._generator is None or self._generator.device != logits.device:
            self._generator = torch.Generator(logits.device).manual_seed(self._seed)
        probabilities = logits.detach().float().softmax(dim=1)
        actions = torch.multinomial(probabilities, self.samples, replacement=True, generator=self._generator)
        loss = reinforce_loss(logits, action_rewards, actions, self._mean_reward or 0.0)
        if self.use_baseline:
            reward = action_rewards.gather(1, actions).mean().item()
            self._mean_reward = running_mean(reward if self._mean_reward is None else self._mean_reward, reward)
        return loss

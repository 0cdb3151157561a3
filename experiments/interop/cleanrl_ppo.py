"""PPO in one file, in the manner of CleanRL: nothing between the algorithm and Gymnasium's vector API.

    python -m experiments.interop.cleanrl_ppo

The algorithm (arXiv 1707.06347) handles episodes of any length; it makes no use of these having one step.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
import tyro
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Categorical

from agents.sb3.features import ViTFeatures
from experiments.interop.trial import ENV_ID, TrialResult, TrialSettings, accuracy_on_test_images


class Rollout(NamedTuple):
    """What one update learns from, B rows each.

    Attributes:
        images: uint8 of shape (B, H, W, 3).
        actions: int64.
        log_probs: Of the actions, when they were drawn.
        advantages: Of the actions.
        returns: What the values are to be.
    """

    images: Tensor
    actions: Tensor
    log_probs: Tensor
    advantages: Tensor
    returns: Tensor


class Agent(nn.Module):
    """Actor and critic, each a linear layer on the features of one ViT.

    Args:
        envs: For their spaces.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        super().__init__()
        assert isinstance(envs.single_observation_space, spaces.Box)
        assert isinstance(envs.single_action_space, spaces.Discrete)
        self.features = ViTFeatures(envs.single_observation_space)
        self.actor = _layer(self.features.features_dim, int(envs.single_action_space.n), gain=0.01)
        self.critic = _layer(self.features.features_dim, 1, gain=1.0)

    def forward(self, images: Tensor) -> tuple[Categorical, Tensor]:
        """The policy, and the value of shape (B,), for images of shape (B, H, W, 3)."""
        features = self.features(images)
        return Categorical(logits=self.actor(features)), self.critic(features).squeeze(1)


def _layer(inputs: int, outputs: int, gain: float) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear


@torch.no_grad()
def collect(
    agent: Agent, envs: VectorEnv[Any, Any, Any], images: NDArray[np.uint8], args: TrialSettings
) -> tuple[Rollout, NDArray[np.uint8]]:
    """Act for T steps in N environments.

    Args:
        agent: Chooses the actions.
        envs: Where it acts.
        images: On display.
        args: T, discount and lambda.

    Returns:
        What was seen, B = T N rows, and the images on display now.
    """
    seen, chosen, log_probs, values, rewards, dones = [], [], [], [], [], []
    for _ in range(args.rollout_size // args.num_envs):
        seen.append(torch.from_numpy(images))
        policy, value = agent(seen[-1])
        chosen.append(policy.sample())
        log_probs.append(policy.log_prob(chosen[-1]))
        values.append(value)
        images, reward, terminated, truncated, _ = envs.step(chosen[-1].numpy())
        rewards.append(torch.from_numpy(reward).float())
        dones.append(torch.from_numpy(terminated | truncated).float())
    values.append(agent(torch.from_numpy(images))[1])
    advantages = estimate_advantages(torch.stack(rewards), torch.stack(values), torch.stack(dones), args)
    returns = advantages + torch.stack(values[:-1])
    rows = torch.cat(seen), torch.cat(chosen), torch.cat(log_probs), advantages.flatten(), returns.flatten()
    return Rollout(*rows), images


def estimate_advantages(rewards: Tensor, values: Tensor, dones: Tensor, args: TrialSettings) -> Tensor:
    """Generalized advantage estimates, shape (T, N).

    Args:
        rewards: Shape (T, N).
        values: Of the images before each step and after the last, shape (T + 1, N).
        dones: Whether the step ended its episode, 1 or 0, shape (T, N).
        args: Discount and lambda.
    """
    advantages, following = torch.zeros_like(rewards), torch.zeros_like(rewards[0])
    for step in reversed(range(len(rewards))):
        discount = args.gamma * (1 - dones[step])
        error = rewards[step] + discount * values[step + 1] - values[step]
        advantages[step] = following = error + discount * args.gae_lambda * following
    return advantages


def ppo_loss(agent: Agent, batch: Rollout, args: TrialSettings) -> Tensor:
    """The clipped surrogate, the value loss and the entropy bonus, as a scalar."""
    policy, values = agent(batch.images)
    ratio = (policy.log_prob(batch.actions) - batch.log_probs).exp()
    advantages = (batch.advantages - batch.advantages.mean()) / (batch.advantages.std() + 1e-8)
    surrogate = torch.min(ratio * advantages, ratio.clamp(1 - args.clip, 1 + args.clip) * advantages).mean()
    value_loss = (values - batch.returns).square().mean() / 2
    return args.value_coefficient * value_loss - surrogate - args.entropy_coefficient * policy.entropy().mean()


def train(args: TrialSettings) -> TrialResult:
    """Train on task 0 and test."""
    torch.manual_seed(args.seed)
    envs = gym.make_vec(ENV_ID, num_envs=args.num_envs)
    agent = Agent(envs)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)
    updates = args.steps // args.rollout_size

    started = time.perf_counter()
    images, _ = envs.reset(seed=args.seed)
    for update in range(updates):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - update / updates)
        rollout, images = collect(agent, envs, images, args)
        for _ in range(args.update_epochs):
            for rows in torch.randperm(args.rollout_size).split(args.minibatch_size):
                loss = ppo_loss(agent, Rollout(*(part[rows] for part in rollout)), args)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()
    seconds = time.perf_counter() - started

    @torch.no_grad()
    def greedy(images: NDArray[np.uint8]) -> NDArray[np.int64]:
        policy, _ = agent(torch.from_numpy(images))
        return policy.probs.argmax(dim=1).numpy()

    library = f"PPO in one file, Gymnasium {gym.__version__}"
    return TrialResult(library, updates * args.rollout_size, seconds, accuracy_on_test_images(greedy))


if __name__ == "__main__":
    print(train(tyro.cli(TrialSettings, prog="python -m experiments.interop.cleanrl_ppo")))

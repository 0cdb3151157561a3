"""What an algorithm reports of a gradient step to stable-baselines3's logger."""

from __future__ import annotations

import sys
import time

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import safe_mean
from torch import Tensor

from agents.objectives import entropy


def log_update(
    agent: BaseAlgorithm, task: int, progress: float, loss: Tensor, logits: Tensor, action_rewards: Tensor | None
) -> None:
    """Record and write one row.

    Args:
        agent: Its logger and counters are used.
        task: Number of the current task.
        progress: Share of the task's steps that are done, in [0, 1).
        loss: Mean over the batch, a scalar.
        logits: Of all actions, minus infinity outside the task; shape (B, A).
        action_rewards: R(x, a) of every action, shape (B, A); None if not known.
    """
    record = agent.logger.record
    if agent.ep_info_buffer:
        record("rollout/ep_rew_mean", safe_mean([episode["r"] for episode in agent.ep_info_buffer]))
    if agent.ep_success_buffer:
        record("rollout/success_rate", safe_mean(agent.ep_success_buffer))
    record("train/task", task)
    record("train/progress", progress)
    record("train/loss", loss.item())
    record("train/entropy", entropy(logits).mean().item())
    if action_rewards is not None:
        greedy = action_rewards.gather(1, logits.argmax(dim=1, keepdim=True))
        record("train/greedy_reward", greedy.mean().item())
    record("train/n_updates", agent._n_updates)
    seconds = max((time.time_ns() - agent.start_time) / 1e9, sys.float_info.epsilon)
    record("time/fps", int((agent.num_timesteps - agent._num_timesteps_at_start) / seconds))
    record("time/total_timesteps", agent.num_timesteps, exclude="tensorboard")
    agent.logger.dump(step=agent.num_timesteps)

"""What an algorithm reports of a gradient step to stable-baselines3's logger."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import safe_mean
from torch import Tensor

from agents.objectives import entropy


class Counters(NamedTuple):
    """Counts at a gradient step.

    Attributes:
        task: Number of the current task.
        progress: Share of the task's steps that are done, in [0, 1).
        updates: Gradient steps of all tasks.
        fps: Images a second since `learn` was called.
        timesteps: Images since the counters were reset.
    """

    task: int
    progress: float
    updates: int
    fps: int
    timesteps: int

    @classmethod
    def of(cls, agent: BaseAlgorithm, task: int, progress: float) -> Counters:
        """Those of an agent now."""
        seconds = max((time.time_ns() - agent.start_time) / 1e9, sys.float_info.epsilon)
        fps = int((agent.num_timesteps - agent._num_timesteps_at_start) / seconds)
        return cls(task, progress, agent._n_updates, fps, agent.num_timesteps)


def figures(loss: Tensor, logits: Tensor, action_rewards: Tensor | None) -> Tensor:
    """The figures of a row, on the device.

    Args:
        loss: Mean over the batch, a scalar.
        logits: Of all actions, minus infinity outside the task; shape (B, A).
        action_rewards: R(x, a) of every action, shape (B, A); None if not known.

    Returns:
        Loss, mean entropy in nats and, with `action_rewards`, the mean reward of the most likely action; float64.
    """
    values = [loss, entropy(logits).mean()]
    if action_rewards is not None:
        values.append(action_rewards.gather(1, logits.argmax(dim=1, keepdim=True)).mean())
    return torch.stack([value.double() for value in values])


def write_row(agent: BaseAlgorithm, counters: Counters, values: Sequence[float]) -> None:
    """Record and write one row.

    Args:
        agent: Its logger and its buffers of finished episodes are used.
        counters: Of the row.
        values: The numbers of `figures`.
    """
    record = agent.logger.record
    if agent.ep_info_buffer:
        record("rollout/ep_rew_mean", safe_mean([episode["r"] for episode in agent.ep_info_buffer]))
    if agent.ep_success_buffer:
        record("rollout/success_rate", safe_mean(agent.ep_success_buffer))
    record("train/task", counters.task)
    record("train/progress", counters.progress)
    for name, value in zip(("loss", "entropy", "greedy_reward"), values, strict=False):
        record(f"train/{name}", value)
    record("train/n_updates", counters.updates)
    record("time/fps", counters.fps)
    record("time/total_timesteps", counters.timesteps, exclude="tensorboard")
    agent.logger.dump(step=counters.timesteps)

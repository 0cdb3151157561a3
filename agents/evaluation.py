"""Testing an agent on a stream, image by image and without a task id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from agents.objectives import entropy, mask_logits
from agents.policy import ViTPolicy


@dataclass(frozen=True)
class TaskTest:
    """An agent's answers on one task's images.

    Attributes:
        task: The task.
        labels: int64 of shape (N,), in the order of the test split.
        predictions: int64 of shape (N,), the most likely of all classes met so far.
        entropy: Entropy of the policy over the classes met so far, nats, float32 of shape (N,).
    """

    task: int
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    entropy: NDArray[np.float32]

    @property
    def accuracy(self) -> float:
        """Share of right answers, in [0, 1]."""
        return float((self.labels == self.predictions).mean())


def test_tasks(
    policy: ViTPolicy, env: VectorEnv[Any, Any, Any], tasks: Sequence[int], task_named: bool = False
) -> list[TaskTest]:
    """Classify every test image of some tasks once.

    The policy sees images alone; labels and tasks are read from `info` to judge its answers.

    Args:
        policy: In which classes are met.
        env: A vector environment over the test split, with labels in its `info`.
        tasks: Which tasks; each is tested by itself, over all classes met.
        task_named: Choose among the classes of `info["action_mask"]`, as in task-incremental learning.
    """
    return [_test_task(policy, env, task, task_named) for task in tasks]


def _test_task(policy: ViTPolicy, env: VectorEnv[Any, Any, Any], task: int, task_named: bool) -> TaskTest:
    images, info = env.reset(options={"task": task})
    remaining = int(info["epoch_length"][0])
    labels, predictions, entropies = [], [], []
    policy.set_training_mode(False)
    while remaining > 0:
        shown = min(remaining, env.num_envs)
        with torch.no_grad():
            logits = policy(torch.from_numpy(images[:shown]).to(policy.device))
            if task_named:
                logits = mask_logits(logits, torch.from_numpy(info["action_mask"][:shown]).to(policy.device))
            logits = logits[:, policy.head.actions] if len(policy.head.actions) else logits
            choice = logits.argmax(dim=1)
            chosen = policy.head.actions[choice] if len(policy.head.actions) else choice
            entropies.append(entropy(logits.float()).cpu().numpy())
        labels.append(info["label"][:shown])
        predictions.append(chosen.cpu().numpy())
        actions = np.zeros(env.num_envs, dtype=np.int64)
        actions[:shown] = predictions[-1]
        images, _, _, _, info = env.step(actions)
        remaining -= shown
    return TaskTest(task, np.concatenate(labels), np.concatenate(predictions), np.concatenate(entropies))

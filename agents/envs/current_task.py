"""The task that an environment is set to, told apart from others by its classes, its number and its data."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from agents.envs.stream_identity import identity_of
from agents.envs.vec_env import ObservationInfo


def task_of(env: VecEnv, info: ObservationInfo) -> dict[str, Any]:
    """The task that an environment is set to: its classes, its numbers and its data; None for what it does not say."""
    identity = identity_of(env)
    return {
        "classes": np.flatnonzero(info.action_mask.any(axis=0)).tolist(),
        "tasks": np.flatnonzero(info.task_mask.any(axis=0)).tolist(),
        "stream_fingerprint": identity.stream_fingerprint,
        "images_sha256": identity.images_sha256,
    }


def is_same_task(current: dict[str, Any] | None, task: dict[str, Any]) -> bool:
    """Whether a task is the current one: the same classes, tasks and data, as far as both are known."""
    return current is not None and all(
        current.get(entry) is None or value is None or current[entry] == value for entry, value in task.items()
    )

"""The task that an environment is set to, identified by classes, task numbers and data."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from agents.envs.observation_info import ObservationInfo
from agents.envs.stream_identity import identity_of


def task_of(env: VecEnv, info: ObservationInfo) -> dict[str, Any]:
    """The current task of an environment: indices of its classes and tasks, and the hashes of its stream.

    A hash is None if the environment does not give it.
    """
    identity = identity_of(env)
    return {
        "classes": np.flatnonzero(info.action_mask.any(axis=0)).tolist(),
        "tasks": np.flatnonzero(info.task_mask.any(axis=0)).tolist(),
        "stream_fingerprint": identity.stream_fingerprint,
        "images_sha256": identity.images_sha256,
    }


def is_same_task(current: dict[str, Any] | None, task: dict[str, Any]) -> bool:
    """Whether a task is the current one: no entry that both have differs."""
    return current is not None and all(
        current.get(entry) is None or value is None or current[entry] == value for entry, value in task.items()
    )

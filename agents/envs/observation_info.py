"""What an environment reports of the images that it shows, read from `info` and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from agents.envs.vec_env import INFO_LIST, GymnasiumVecEnv

Rewards = NDArray[np.float32] | Tensor


class ObservationInfo(NamedTuple):
    """Entries of `info` for N current observations, A actions and T tasks.

    Attributes:
        task: The task of each image, int64 of shape (N,); 0 if the environment has no tasks.
        task_mask: 1 for the current tasks, int8 of shape (N, T); T = 0 if the environment does not name them.
        action_mask: 1 for the classes of the current task, int8 of shape (N, A); all ones if there is no mask.
        action_rewards: R(x, a) of every action, float32 of shape (N, A), perhaps on a device; None if withheld.
        image_index: Identifies each image, int64 of shape (N,), or None.
        epoch_length: Images in one pass over the current tasks, or None.
    """

    task: NDArray[np.int64]
    task_mask: NDArray[np.int8]
    action_mask: NDArray[np.int8]
    action_rewards: Rewards | None
    image_index: NDArray[np.int64] | None
    epoch_length: int | None


def observation_info(env: VecEnv, num_actions: int) -> ObservationInfo:
    """Read the infos of the observations that a VecEnv has last returned.

    Raises:
        ValueError: A wrapper has changed the form of the infos.
    """
    base = env.unwrapped
    if isinstance(base, GymnasiumVecEnv) and not isinstance(base.batch_info, dict):
        raise ValueError(INFO_LIST)
    info = base.batch_info if isinstance(base, GymnasiumVecEnv) else _stacked(base.reset_infos)
    count = env.num_envs
    return ObservationInfo(
        task=np.asarray(info.get("task", np.zeros(count)), dtype=np.int64),
        task_mask=np.asarray(info.get("task_mask", np.ones((count, 0))), dtype=np.int8),
        action_mask=np.asarray(info.get("action_mask", np.ones((count, num_actions))), dtype=np.int8),
        action_rewards=np.asarray(info["action_rewards"], dtype=np.float32) if "action_rewards" in info else None,
        image_index=np.asarray(info["image_index"], dtype=np.int64) if "image_index" in info else None,
        epoch_length=int(np.asarray(info["epoch_length"])[0]) if "epoch_length" in info else None,
    )


def check_rewards(rewards: NDArray[np.floating[Any]]) -> None:
    """Check that the rewards of an environment are finite numbers.

    Raises:
        ValueError: One is NaN or infinite.
    """
    if not np.isfinite(rewards).all():
        raise ValueError(
            "the environment returned rewards that are NaN or infinite: check its rewards and its wrappers"
        )


def _stacked(infos: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """SB3's list of dicts as a dict of arrays, for the entries of `ObservationInfo`."""
    return {
        key: np.stack([info[key] for info in infos])
        for key in ObservationInfo._fields
        if all(key in info for info in infos)
    }

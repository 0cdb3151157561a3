"""One epoch over the images of the task that an environment is set to, outside training."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs

from agents.envs.observation_info import ObservationInfo, observation_info

NewImages = tuple[Any, ObservationInfo, NDArray[np.int64]]
"""Observations of shape (N, ...), what the environment reports of them, and the rows that the epoch had not yet."""


class Epoch:
    """Iterates once over the images of the current task.

    Records the pending seeds and options, so that `reset` restarts the task in the same order: make it before the reset
    with which the task begins. Images shown twice (sub-environments shuffle independently) are skipped by
    `image_index`.

    Args:
        env: An environment whose `info["epoch_length"]` is the number of images of the task.
        num_actions: Size of the action space.

    Attributes:
        count: Images in all iterations so far.
    """

    def __init__(self, env: VecEnv, num_actions: int) -> None:
        self._env, self._num_actions = env, num_actions
        self._seeds, self._options = list(env.unwrapped._seeds), copy.deepcopy(env.unwrapped._options)
        self.count = 0

    def reset(self) -> VecEnvObs:
        """Restart the task, in the order in which its training starts if the environment was seeded."""
        base = self._env.unwrapped
        base._seeds, base._options = list(self._seeds), copy.deepcopy(self._options)
        return self._env.reset()

    def __iter__(self) -> Iterator[NewImages]:
        """Reset the environment and step through the epoch.

        Raises:
            ValueError: The sub-environments are set to different tasks.
        """
        images, passed = self.reset(), 0
        info = observation_info(self._env, self._num_actions)
        length, seen = info.epoch_length or 0, np.empty(0, dtype=np.int64)
        for mask in (info.task_mask, info.action_mask):
            if (mask[:length] != mask[0]).any():
                raise ValueError(
                    "the environments have different tasks, but learning needs one pass over the images of all tasks: "
                    "set the same task for all environments"
                )
        while True:
            rows = np.arange(min(self._env.num_envs, length - passed))
            if info.image_index is not None:
                shown, first = np.unique(info.image_index, return_index=True)
                rows = np.sort(first[~np.isin(shown, seen)])[: length - passed]
                seen = np.concatenate([seen, info.image_index[rows]])
            passed, self.count = passed + len(rows), self.count + len(rows)
            if len(rows):
                yield images, info, rows
            if passed >= length:
                return
            images = self._env.step(np.zeros(self._env.num_envs, dtype=np.int64))[0]
            info = observation_info(self._env, self._num_actions)

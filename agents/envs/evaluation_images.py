"""One pass over the images of an evaluation split, task by task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor

from agents.envs.device_episodes import DeviceEpisodes, episode_tensors
from agents.envs.device_images import free_bytes, image_bytes
from agents.envs.episode_protocol import EpisodeEnv, episode_env

Info = dict[str, NDArray[Any]]


class EvaluationImages:
    """Shows the images of an environment, and steps it with the answers.

    Args:
        env: A vector environment.
        device: Where images are classified.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], device: torch.device) -> None:
        self._env, self._device = env, device
        self._images: NDArray[np.uint8]

    def begin(self, task: int) -> Info:
        """Begin the pass over a task, and return the info of the first images."""
        self._images, info = self._env.reset(options={"task": task})
        return info

    def shown(self, rows: NDArray[np.int64]) -> Tensor:
        """Rows of the images that are shown, uint8 of shape (n, ...), on the device."""
        return torch.from_numpy(self._images[rows]).to(self._device)

    def answer(self, rows: NDArray[np.int64], actions: Tensor) -> Info:
        """Classify the images of some rows, the others at random, and return the info of the next images."""
        chosen = np.zeros(self._env.num_envs, dtype=np.int64)
        chosen[rows] = actions.cpu().numpy()
        self._images, _, _, _, info = self._env.step(chosen)
        return info


class DeviceEvaluationImages(EvaluationImages):
    """As `EvaluationImages`, with images that are kept on the device: a step does not wait for it.

    Args:
        env: An environment whose episodes can be brought to a device.
        device: Where images are classified.
        tasks: The tasks whose images are needed.
    """

    def __init__(self, env: EpisodeEnv, device: torch.device, tasks: Sequence[int]) -> None:
        self._native, self._tensors = env, episode_tensors(env, device)
        self._tensors.images.keep(tasks)
        self._episodes: DeviceEpisodes

    def begin(self, task: int) -> Info:
        """Begin the pass over a task, and return the info of the first images."""
        return self._bring(self._native.begin(options={"task": task}))

    def shown(self, rows: NDArray[np.int64]) -> Tensor:
        """Rows of the images that are shown, uint8 of shape (n, H, W, 3), on the device."""
        return self._episodes.images[torch.from_numpy(rows).to(self._episodes.images.device)]

    def answer(self, rows: NDArray[np.int64], actions: Tensor) -> Info:
        """Classify the images of some rows, the others as class 0, and return the info of the next images."""
        chosen = torch.zeros_like(self._episodes.labels)
        chosen[torch.from_numpy(rows).to(chosen.device)] = actions
        self._tensors.pay(self._episodes, chosen)
        return self._bring(self._native.advance())

    def _bring(self, episodes: Any) -> Info:
        self._episodes = self._tensors.bring(episodes)
        return self._native.source.observation_info(episodes)


def evaluation_images(
    env: VectorEnv[Any, Any, Any], device: torch.device, tasks: Sequence[int]
) -> EvaluationImages:
    """The images of some tasks: kept on a GPU if they fit in half of its free memory and the environment allows it."""
    native = episode_env(env)
    if native is None or device.type != "cuda" or image_bytes(native.source, tasks) > free_bytes(device) // 2:
        return EvaluationImages(env, device)
    return DeviceEvaluationImages(native, device, tasks)

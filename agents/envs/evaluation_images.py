"""One pass over the images of an evaluation split, task by task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor

from agents.envs.device_episodes import DeviceEpisodes, can_keep, episode_tensors
from agents.envs.episode_protocol import EpisodeEnv, Episodes, episode_env

Info = dict[str, NDArray[Any]]


class EvaluationImages(Protocol):
    """Shows the images of an environment, and steps it with the answers."""

    @property
    def images(self) -> Tensor:
        """The images that are shown, uint8 of shape (N, ...)."""

    def begin(self, task: int) -> Info:
        """Begin the pass over a task, and return the info of the first images."""

    def answer(self, actions: Tensor) -> Info:
        """Classify the images, and return the info of the next ones.

        Args:
            actions: int64 of shape (N,), on the device.
        """


class HostImages:
    """Images in main memory.

    Args:
        env: A vector environment.
    """

    images: Tensor

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        self._env = env

    def begin(self, task: int) -> Info:
        """Begin the pass over a task, and return the info of the first images."""
        images, info = self._env.reset(options={"task": task})
        self.images = torch.from_numpy(images)
        return info

    def answer(self, actions: Tensor) -> Info:
        """Classify the images, and return the info of the next ones."""
        images, _, _, _, info = self._env.step(actions.cpu().numpy())
        self.images = torch.from_numpy(images)
        return info


class ImagesOnDevice:
    """Images that are kept on a device; a step does not wait for it.

    Args:
        env: An environment whose episodes can be brought to a device.
        device: Where images are kept.
        tasks: The tasks whose images are needed.
    """

    def __init__(self, env: EpisodeEnv, device: torch.device, tasks: Sequence[int]) -> None:
        self._env, self._tensors = env, episode_tensors(env, device)
        self._tensors.images.keep(tasks)
        self._shown: DeviceEpisodes

    @property
    def images(self) -> Tensor:
        """The images that are shown, uint8 of shape (N, H, W, 3)."""
        return self._shown.images

    def begin(self, task: int) -> Info:
        """Begin the pass over a task, and return the info of the first images."""
        return self._show(self._env.begin(options={"task": task}))

    def answer(self, actions: Tensor) -> Info:
        """Classify the images, and return the info of the next ones."""
        self._tensors.pay(self._shown, actions)
        return self._show(self._env.advance())

    def _show(self, episodes: Episodes) -> Info:
        self._shown = self._tensors.bring(episodes)
        return self._env.source.observation_info(episodes)


def evaluation_images(env: VectorEnv[Any, Any, Any], device: torch.device, tasks: Sequence[int]) -> EvaluationImages:
    """The images of some tasks: kept on a GPU if they fit in half of its free memory and the environment allows it."""
    native = episode_env(env)
    keeps = native is not None and can_keep(native, device, tasks)
    return ImagesOnDevice(native, device, tasks) if native is not None and keeps else HostImages(env)

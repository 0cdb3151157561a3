"""Episodes of the native vector environment as tensors on a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.envs.device_images import DeviceImages, free_bytes, image_bytes
from agents.envs.episode_protocol import EpisodeEnv, Episodes, Source
from agents.networks.uploads import upload_small


class DeviceEpisodes(NamedTuple):
    """A batch of episodes on a device.

    Attributes:
        images: uint8 of shape (N, H, W, 3).
        labels: Labels with label noise, int64 of shape (N,).
        action_rewards: Reward of each action, float32 of shape (N, A).
        host: The same episodes in main memory.
    """

    images: Tensor
    labels: Tensor
    action_rewards: Tensor
    host: Episodes


class EpisodeTensors:
    """Brings the episodes of a source to a device, and pays them there. Neither waits for the device.

    Only row numbers and labels are copied, and the rewards of all actions where these are drawn with noise.

    Args:
        source: Of the environment.
        device: Where the tensors are.

    Attributes:
        images: The images that are kept on the device.
    """

    def __init__(self, source: Source, device: torch.device) -> None:
        self._source, self._device = source, device
        self.images = DeviceImages(source, device)
        self._regrets = torch.from_numpy(source.regrets_of_labels).to(device)
        known = source.rewards_of_labels
        self._rewards = None if known is None else torch.from_numpy(known).to(device)
        self._shared: dict[tuple[str, bytes], Tensor] = {}

    def bring(self, episodes: Episodes) -> DeviceEpisodes:
        """Some episodes on the device."""
        labels = self.upload(episodes.labels)
        rewards = self.upload(episodes.action_rewards) if self._rewards is None else self._rewards[labels]
        return DeviceEpisodes(self.images.take(episodes.rows, episodes.tasks), labels, rewards, episodes)

    def pay(self, episodes: DeviceEpisodes, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Count finished episodes and their regret.

        Args:
            episodes: As `bring` returned them.
            actions: int64 of shape (N,), on the device.

        Returns:
            The rewards, float32 of shape (N,), and whether each choice was right, bool of shape (N,).
        """
        self._source.count(episodes.host)
        regrets = self._regrets[episodes.labels, actions]
        if episodes.host.padding.any():
            regrets = regrets * self.upload(~episodes.host.padding)
        self._source.add_regret(regrets.sum(dtype=torch.float64))
        rewards = episodes.action_rewards.gather(1, actions[:, None]).squeeze(1)
        return rewards, actions == episodes.labels

    def upload(self, values: NDArray[Any]) -> Tensor:
        """A small array on the device."""
        return upload_small(torch.from_numpy(np.ascontiguousarray(values)), self._device)

    def upload_rows(self, name: str, values: NDArray[Any]) -> Tensor:
        """An array whose rows are mostly equal, and stay so from step to step, such as an action mask.

        Args:
            name: Of the array.
            values: Of shape (N, ...).
        """
        if not (values == values[:1]).all():
            return self.upload(values)
        key = name, values[0].tobytes()
        if key not in self._shared:
            self._shared = {other: kept for other, kept in self._shared.items() if other[0] != name}
            self._shared[key] = self.upload(values[:1])
        return self._shared[key].expand(values.shape)


def can_keep(env: EpisodeEnv, device: torch.device, tasks: Sequence[int]) -> bool:
    """Whether a device is a GPU and half of its free memory holds the images of some tasks.

    The memory of the environment's images that are there already counts as free. If it is too small, they are released.

    Args:
        env: The environment.
        device: The device.
        tasks: Indices of the tasks.
    """
    if device.type != "cuda":
        return False
    kept = _KEPT.get(env, {}).get(device)
    free = free_bytes(device) + (kept.images.kept_bytes if kept is not None else 0)
    fits = image_bytes(env.source, tasks) <= free // 2
    if not fits and kept is not None:
        kept.images.release()
    return fits


_KEPT: WeakKeyDictionary[Any, dict[torch.device, EpisodeTensors]] = WeakKeyDictionary()


def episode_tensors(env: EpisodeEnv, device: torch.device) -> EpisodeTensors:
    """Those of an environment on a device; the same object at each call, as long as the environment lives."""
    of_env = _KEPT.setdefault(env, {})
    if device not in of_env:
        of_env[device] = EpisodeTensors(env.source, device)
    return of_env[device]

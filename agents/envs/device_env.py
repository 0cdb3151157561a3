"""The native vector environment with its images on a device, for training loops in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.utils import get_device
from torch import Tensor

from agents.envs.device_episodes import DeviceEpisodes, episode_tensors
from agents.envs.episode_protocol import episode_env
from agents.networks.devices import checked_device


class DeviceVectorEnv(VectorEnv[Tensor, Tensor, Tensor]):
    """The episodes of a native vector environment as tensors on a device: no image is copied in a step.

        env = DeviceVectorEnv(gym.make_vec("cls_env/ClassIncremental-v0", num_envs=256), "cuda")
        images, info = env.reset(seed=0, options={"task": 0})
        images, rewards, terminations, truncations, info = env.step(actions)  # actions: int64, on the device

    The images of the current tasks are copied to the device once. A step sends row numbers and labels alone, and does
    not wait for the device. Order of images, noise, rewards and counts are those of the environment, which this class
    resets and steps.

    `info` holds the entries of the environment's own `info` for the current images, as tensors of N rows. If the
    feedback allows it, `info["final_info"]["is_success"]` tells which of the finished episodes were right.

    Args:
        env: The result of `gym.make_vec` with an id of `cls_env`, without wrappers.
        device: Where the tensors are; `"auto"` is a GPU if there is one.

    Attributes:
        env: The environment.
        device: Where the tensors are.

    Raises:
        ValueError: `env` is another environment, or is wrapped; or the device does not exist.

    >>> import gymnasium as gym
    >>> import cls_env
    >>> env = DeviceVectorEnv(gym.make_vec("cls_env/ClassIncremental-v0", num_envs=4), "cpu")
    >>> images, info = env.reset(seed=0)
    >>> rewards = env.step(info["label"])[1]
    >>> images.shape, rewards
    (torch.Size([4, 36, 36, 3]), tensor([1., 1., 1., 1.]))
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], device: torch.device | str = "auto") -> None:
        native = episode_env(env)
        if native is None:
            raise ValueError(f"DeviceVectorEnv takes gym.make_vec of an id of cls_env, without wrappers, not {env}")
        self.env, self.device = native, get_device(checked_device(device))
        self.num_envs, self.metadata, self.autoreset_mode = env.num_envs, env.metadata, AutoresetMode.SAME_STEP
        self.observation_space, self.single_observation_space = env.observation_space, env.single_observation_space
        self.action_space, self.single_action_space = env.action_space, env.single_action_space
        self._tensors = episode_tensors(native, self.device)
        self._ended = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        self._shown: DeviceEpisodes | None = None

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """Show the next images; the arguments are those of the environment's own `reset`.

        Returns:
            Images, uint8 of shape (N, H, W, 3), and their info.
        """
        self.env.begin(seed=seed, options=options)
        return self._show()

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Classify the images and show the next ones.

        Args:
            actions: int64 of shape (N,), on the device. Each must be in 0 ... A - 1, which is not checked, since this
                would wait for the device.

        Returns:
            The next images; rewards, float32 of shape (N,); terminations, all True; truncations, all False; and info.

        Raises:
            ResetNeeded: `reset` was not called before.
        """
        if self._shown is None or self._shown.host is not self.env.episodes:
            self._shown = self._tensors.bring(self.env.episodes)
        rewards, success = self._tensors.pay(self._shown, actions)
        self.env.advance()
        images, info = self._show()
        if self.env.source.reveals_success:
            info["final_info"] = {"is_success": success}
        return images, rewards, self._ended, ~self._ended, info

    def _show(self) -> tuple[Tensor, dict[str, Any]]:
        self._shown = self._tensors.bring(self.env.episodes)
        info: dict[str, Any] = self.env.source.observation_info(self._shown.host)
        known = {"label": self._shown.labels, "action_rewards": self._shown.action_rewards}
        return self._shown.images, {
            name: known[name] if name in known else self._tensors.upload_rows(name, values)
            for name, values in info.items()
        }

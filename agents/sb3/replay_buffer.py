"""A replay buffer that stores each image once."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

_SMALLEST = 64


class ImageTable:
    """Images with reference counts: equal images share a row, and a row without references is reused.

    Args:
        shape: Shape of an image.
        dtype: Type of its pixels.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.images: NDArray[Any] = np.empty((0, *shape), dtype)
        self._references: list[int] = []
        self._digests: list[bytes] = []
        self._row_of: dict[bytes, int] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        """Number of different images with references."""
        return len(self._row_of)

    def refer(self, images: NDArray[Any]) -> NDArray[np.int64]:
        """Add one reference to each of some images, and return their rows, int64 of shape (N,)."""
        return np.array([self._refer(image) for image in images], dtype=np.int64)

    def release(self, rows: NDArray[np.int64]) -> None:
        """Remove one reference from each row."""
        for row in rows.flatten().tolist():
            self._references[row] -= 1
            if self._references[row] == 0:
                del self._row_of[self._digests[row]]
                self._free.append(row)

    def _refer(self, image: NDArray[Any]) -> int:
        digest = blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        row = self._row_of.get(digest)
        if row is None:
            row = self._row_of[digest] = self._free.pop() if self._free else self._new_row()
            self.images[row], self._references[row], self._digests[row] = image, 0, digest
        self._references[row] += 1
        return row

    def _new_row(self) -> int:
        row = len(self._references)
        if row == len(self.images):
            more = np.empty((max(row, _SMALLEST), *self.images.shape[1:]), self.images.dtype)
            self.images = np.concatenate([self.images, more])
        self._references.append(0)
        self._digests.append(b"")
        return row


class ImageReplayBuffer(ReplayBuffer):
    """SB3's replay buffer with indices of images in place of the images.

        DQN("CnnPolicy", env, replay_buffer_class=ImageReplayBuffer)

    In a one-step episode the next observation is the observation itself, and every epoch shows the same images again:
    SB3's own buffer would keep two copies for each step. Images are identified by a hash of their pixels.

    Args:
        buffer_size: Largest number of transitions.
        observation_space: A `Box` of images.
        action_space: Space of the actions.
        device: Device of the samples.
        n_envs: Number of environments.
        optimize_memory_usage: Must be False, since nothing is stored twice.
        handle_timeout_termination: As in SB3.

    Attributes:
        table: The images.

    Raises:
        ValueError: The observation space is no `Box`, or `optimize_memory_usage` is set.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
    ) -> None:
        if not isinstance(observation_space, spaces.Box):
            raise ValueError(f"ImageReplayBuffer keeps observations of a Box, not of {observation_space}")
        if optimize_memory_usage:
            raise ValueError("ImageReplayBuffer stores no image twice already: leave optimize_memory_usage out")
        rows = spaces.Box(0, np.iinfo(np.int64).max, (1,), np.int64)
        super().__init__(buffer_size, rows, action_space, device, n_envs, False, handle_timeout_termination)
        self._pixels = observation_space
        self.table = self._empty_table()

    def reset(self) -> None:
        """Remove all transitions and images."""
        super().reset()
        self.table = self._empty_table()

    def add(
        self,
        obs: NDArray[Any],
        next_obs: NDArray[Any],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Add one transition for each environment."""
        rows, next_rows = self.table.refer(obs), self.table.refer(next_obs)
        if self.full:
            self.table.release(self.observations[self.pos])
            self.table.release(self.next_observations[self.pos])
        super().add(rows[:, None], next_rows[:, None], action, reward, done, infos)

    def _get_samples(self, batch_inds: NDArray[np.int64], env: VecNormalize | None = None) -> ReplayBufferSamples:
        drawn = super()._get_samples(batch_inds)
        rewards = drawn.rewards if env is None else self.to_torch(env.normalize_reward(drawn.rewards.cpu().numpy()))
        return drawn._replace(
            observations=self._look_up(drawn.observations, env),
            next_observations=self._look_up(drawn.next_observations, env),
            rewards=rewards,
        )

    def _look_up(self, rows: Any, env: VecNormalize | None) -> torch.Tensor:
        return self.to_torch(self._normalize_obs(self.table.images[rows.squeeze(1).cpu().numpy()], env))  # type: ignore[arg-type]

    def _empty_table(self) -> ImageTable:
        return ImageTable(self._pixels.shape, self._pixels.dtype)

"""From the observations of an environment to batches on the policy's device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs
from torch import Tensor

from agents.envs.epoch import Epoch
from agents.envs.observation_info import ObservationInfo, check_rewards, observation_info
from agents.envs.stale_observations import Marks, has_moved, marks_of, refuse_pending
from agents.envs.vec_env import GymnasiumVecEnv, native_env
from agents.methods import Batch
from agents.networks.feature_cache import Digests, FeatureCache, digests_of

View = Callable[[Tensor], Tensor]
FullFeedback = Callable[[ObservationInfo], Any]
"""The known rewards of all actions, shape (N, A), from what the environment reports; None if none is known."""


class Outcome(NamedTuple):
    """What a step of the environment returns, and the rewards on the policy's device, float32 of shape (N,)."""

    observations: Any
    rewards: Any
    dones: NDArray[np.bool_]
    infos: Any
    paid: Tensor


class BatchSource:
    """Makes batches of the images that an environment shows, during one `learn` call.

    Args:
        env: The environment, before the reset with which the task begins (see `Epoch`).
        num_actions: A.
        full_feedback: The known rewards of all actions.
        cache: Stores features of the frozen backbone by image; None to compute them anew each time.
        device: Where batches are put.

    Attributes:
        digests: The digests of images for `FeatureCache`.
    """

    digests: ClassVar[Digests] = staticmethod(digests_of)

    def __init__(
        self,
        env: VecEnv,
        num_actions: int,
        full_feedback: FullFeedback,
        cache: FeatureCache | None,
        device: torch.device,
    ) -> None:
        self._num_actions, self._full_feedback, self._cache, self._device = num_actions, full_feedback, cache, device
        self._env = env
        self._epoch = Epoch(env, num_actions)
        self._observations: Any = None
        self._marks: Marks = ()

    @property
    def num_read(self) -> int:
        """Images that `task_images` has read so far."""
        return self._epoch.count

    def show(self, env: VecEnv, observations: VecEnvObs) -> None:
        """Store the observations that an environment has just returned, for the next `observe`."""
        self._observations, self._marks = observations, marks_of(env)

    def check_resumable(self) -> None:
        """Check that `skip` is possible.

        Raises:
            ValueError: The environment is not the native one of `cls_env`, without wrappers.
        """
        if native_env(self._env) is None:
            raise ValueError(
                "training can be resumed within a task on the native vector environment of cls_env without wrappers, "
                f"as gym.make_vec makes it, not on {self._env}"
            )

    def skip(self, env: VecEnv, steps: int) -> None:
        """Show what the environment would show after further steps, without taking them: images come in fixed order.

        Args:
            env: The environment.
            steps: Number of steps, at least 0.
        """
        self.check_resumable()
        assert isinstance(env, GymnasiumVecEnv)
        self.show(env, env.skip(steps))

    def observe(self, env: VecEnv, task: dict[str, Any], view: View) -> Batch:
        """The batch of the images that an environment shows.

        If a callback has reset or stepped the environment since `show`, it is reset, and the images are new.

        Args:
            env: The environment that was shown, or another one that has replaced it.
            task: The current task, see `task_of`.
            view: uint8 images to inputs of the backbone.

        Raises:
            ValueError: Options or a seed wait for a reset, or the environment is at another task.
        """
        refuse_pending(env)
        if has_moved(env, self._marks):
            self.show(env, env.reset())
        info = observation_info(env, self._num_actions)
        self._check_task(info, task)
        return self._batch(self._observations, info, view)

    def step(self, env: VecEnv, chosen: Tensor, actions: Any) -> Outcome:
        """Step the environment, and store what it shows for the next `observe`.

        Args:
            env: The environment.
            chosen: The actions, int64 of shape (N,), on the device.
            actions: The same as an array.

        Raises:
            ValueError: A reward is not finite, or an episode goes on.
        """
        observations, rewards, dones, infos = env.step(actions)
        self.show(env, observations)
        if not dones.all():
            raise ValueError("learning is from the reward of one action: every episode must end after one step")
        check_rewards(rewards)
        return Outcome(observations, rewards, dones, infos, self.to_device(rewards))

    def _check_task(self, info: ObservationInfo, task: dict[str, Any]) -> None:
        for what, mask in (("classes", info.action_mask), ("tasks", info.task_mask)):
            if set(np.flatnonzero(mask.any(axis=0))) - set(task[what]):
                raise ValueError(
                    f"the environment moved on to new {what} during learn: set the task before each call of learn, "
                    "and let total_timesteps be at most the images of the task where scenario='online'"
                )

    def task_images(self, view: View) -> Iterator[Batch]:
        """One pass over the images of the current task; afterwards the environment starts the task again."""
        try:
            for images, info, rows in self._epoch:
                yield self._batch(images, info, view, rows)
        finally:
            self.show(self._env, self._epoch.reset())

    def to_device(self, array: NDArray[Any]) -> Tensor:
        """An array as a tensor on the device."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device, non_blocking=True)

    def _batch(self, images: Any, info: ObservationInfo, view: View, rows: Any = slice(None)) -> Batch:
        return Batch(
            self.to_device(images[rows]),
            self._known_rewards(info)[rows],
            self.to_device(info.action_mask[rows]),
            None if info.image_index is None else info.image_index[rows],
            view,
            self._cache,
        )

    def _known_rewards(self, info: ObservationInfo) -> Tensor:
        known = self._full_feedback(info)
        if known is None:
            return torch.zeros(info.action_mask.shape, device=self._device)
        return known if isinstance(known, Tensor) else self.to_device(known)

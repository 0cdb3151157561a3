"""Batches of images that are kept on the policy's device, and steps that do not wait for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from agents.algorithms.batches import BatchSource, FullFeedback, Outcome, View
from agents.envs.deferred import DeferredArray, DeferredInfos
from agents.envs.device_episodes import DeviceEpisodes, can_keep, episode_tensors
from agents.envs.episode_protocol import Source
from agents.envs.observation_info import ObservationInfo, observation_info
from agents.envs.stale_observations import has_moved, refuse_pending
from agents.envs.vec_env import GymnasiumVecEnv, native_env
from agents.methods import Batch
from agents.networks.feature_cache import Digests, FeatureCache, no_digests
from cls_env.arguments import as_plain

DEVICE_IMAGES = ("auto", "yes", "no")


class DeviceBatchSource(BatchSource):
    """As `BatchSource`, for an environment whose episodes can be brought to the device (`episode_env`).

    Args:
        env: The environment.
        num_actions: A.
        full_feedback: The known rewards of all actions.
        cache: Stores features of the frozen backbone by image; None to compute them anew each time.
        device: Where batches are put.
    """

    digests: ClassVar[Digests] = staticmethod(no_digests)

    def __init__(
        self,
        env: VecEnv,
        num_actions: int,
        full_feedback: FullFeedback,
        cache: FeatureCache | None,
        device: torch.device,
    ) -> None:
        super().__init__(env, num_actions, full_feedback, cache, device)
        self._shown: DeviceEpisodes | None = None
        self._every = np.ones(env.num_envs, dtype=np.bool_)
        self._hold(env)

    def _hold(self, env: VecEnv) -> None:
        """Take the episodes of an environment from now on.

        Raises:
            ValueError: They can't be brought to a device.
        """
        native = native_env(env)
        if native is None:
            raise ValueError(
                f"{env} has replaced the environment during learn, and its images can't be kept on the device: use "
                "device_images='no'"
            )
        self._held, self._episodes = env, native
        self._tensors = episode_tensors(native, self._device)

    def observe(self, env: VecEnv, task: dict[str, Any], view: View) -> Batch:
        """The batch of the images that the environment shows, see `BatchSource.observe`."""
        if env is not self._held:
            self._hold(env)
        refuse_pending(env)
        if has_moved(env, self._marks):
            self.show(env, env.reset())
        info = observation_info(env, self._num_actions)
        self._check_task(info, task)
        return self._device_batch(info, view)

    def step(self, env: VecEnv, chosen: Tensor, actions: Any) -> Outcome:
        """Step the environment without reading the images that come next.

        Args:
            env: The environment.
            chosen: The actions, int64 of shape (N,), on the device.
            actions: Not read.
        """
        assert isinstance(env, GymnasiumVecEnv) and self._shown is not None
        finished = self._shown.host
        paid, success = self._tensors.pay(self._shown, chosen)
        shown = self._episodes.advance()
        env.batch_info = self._episodes.source.observation_info(shown)
        self.show(env, ())
        infos = DeferredInfos(
            paid,
            success if self._episodes.source.reveals_success else None,
            env.elapsed,
            lambda: finished.images,
        )
        return Outcome(
            DeferredArray(lambda: shown.images), DeferredArray(lambda: paid.cpu().numpy()), self._every, infos, paid
        )

    def task_images(self, view: View) -> Iterator[Batch]:
        """One pass over the images of the current task, see `BatchSource.task_images`."""
        every = range(self._env.num_envs)
        try:
            for _, info, rows in self._epoch:
                batch = self._device_batch(info, view)
                yield batch if len(rows) == len(every) else _some(batch, rows)
        finally:
            self.show(self._env, self._epoch.reset())

    def _device_batch(self, info: ObservationInfo, view: View) -> Batch:
        """The batch of the current episodes."""
        self._shown = self._tensors.bring(self._episodes.episodes)
        known = info if info.action_rewards is None else info._replace(action_rewards=self._shown.action_rewards)
        return Batch(
            self._shown.images,
            self._known_rewards(known),
            self._tensors.upload_rows("action_mask", info.action_mask),
            info.image_index,
            view,
            self._cache,
        )


def _some(batch: Batch, rows: Any) -> Batch:
    """Some rows of a batch."""
    chosen = torch.from_numpy(np.asarray(rows)).to(batch.images.device)
    return Batch(
        batch.images[chosen],
        batch.action_rewards[chosen],
        batch.action_mask[chosen],
        None if batch.image_index is None else batch.image_index[rows],
        batch.preprocess,
        batch.cache,
    )


def source_kind(choice: str, env: VecEnv, device: torch.device) -> type[BatchSource]:
    """The class that makes the batches of a `learn` call.

    Args:
        choice: In `DEVICE_IMAGES`. `"auto"` keeps images on a GPU where the environment allows it, and those of the
            current tasks fit in half of its free memory.
        env: The environment.
        device: The policy's.

    Raises:
        ValueError: `"yes"` was chosen, and the environment does not allow it.
    """
    native = native_env(env)
    if choice == "yes" and native is None:
        raise ValueError(
            "device_images='yes' needs the native vector environment of cls_env without wrappers, as gym.make_vec "
            f"makes it, not {env}: use device_images='auto'"
        )
    if native is None or choice == "no":
        return BatchSource
    if choice == "yes" or can_keep(native, device, _coming_tasks(env, native.source)):
        return DeviceBatchSource
    return BatchSource


def _coming_tasks(env: VecEnv, source: Source) -> Sequence[int]:
    """The tasks of the next reset: those that were set, if the environment knows them, or the current ones."""
    task = as_plain(env._options[0].get("task"))
    tasks = task if isinstance(task, list | tuple) else [task]
    try:
        source.rows_of(tasks)
    except (IndexError, TypeError, ValueError):
        return source.tasks
    return tasks

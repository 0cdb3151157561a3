"""The native vector environment: one indexing operation reads the images of the whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import InvalidAction
from gymnasium.utils import EzPickle
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from cls_env.arguments import as_plain, whole_number
from cls_env.envs.base import StreamEnv
from cls_env.envs.class_incremental import ClassIncrementalEnv
from cls_env.envs.episodes import Dataset, Episodes, EpisodeSource, make_source
from cls_env.envs.rendering import checked_render_mode, render_frame
from cls_env.tasks import TaskStream


class ClassIncrementalVectorEnv(StreamEnv, VectorEnv[NDArray[np.uint8], NDArray[np.int64], NDArray[Any]], EzPickle):
    """`num_envs` episodes of `ClassIncrementalEnv` at once, sampled from the same epoch.

    With `num_envs` = 32 a step shows the next 32 images of the epoch, each image once. Every step ends all episodes.
    In Gymnasium's `AutoresetMode.SAME_STEP` it also returns the images of the next episodes. Top-level `info` describes
    the next episodes, `info["final_obs"]` and `info["final_info"]` the finished ones. The images are not copied: the
    next step puts the returned array into `final_obs`.

    With validation or test images, each `reset()` starts a new epoch. If the last batch of an epoch has more slots than
    images, its first slots repeat earlier images, which `info["padding"]` marks. All others appear once per epoch.

    All environments share one schedule, which counts images. A batch may contain images of two tasks. The order of
    images, tasks and rewards is the same for every `num_envs`. `action_masks()` has shape (N, A). `total_regret` and
    `num_episodes` are totals over all environments.

    The algorithms of stable-baselines3 take environments of its own kind, and refuse this one as "not a Gymnasium
    environment": `PPO("MlpPolicy", agents.GymnasiumVecEnv(envs))` gives them one. Those of `agents` take both.

    Args:
        num_envs: Images per step.
        **arguments: As in `ClassIncrementalEnv`. The render mode is `None` or `"rgb_array"`.

    Raises:
        ValueError: As in `ClassIncrementalEnv`, or `num_envs` is not positive.
    """

    metadata = {
        "render_modes": ["rgb_array"],
        "render_fps": ClassIncrementalEnv.metadata["render_fps"],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        dataset: Dataset | TaskStream = "glyphs",
        *,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        EzPickle.__init__(self, num_envs, dataset, render_mode=render_mode, **arguments)
        num_envs = whole_number("num_envs", num_envs, 1)
        self._source = make_source(dataset, **arguments)
        self.stream = self._source.stream
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode.SAME_STEP  # TorchRL reads this attribute, not the metadata
        self.single_observation_space = self._source.observation_space
        self.single_action_space = self._source.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.render_mode = checked_render_mode(render_mode, self.metadata)
        self._episodes: Episodes | None = None

    @property
    def source(self) -> EpisodeSource:
        """Samples the episodes, and holds what belongs to the images."""
        return self._source

    @property
    def episodes(self) -> Episodes:
        """The current episodes.

        Raises:
            ResetNeeded: `reset` was not called before.
        """
        return self._current("episodes")

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Show the next images.

        Args:
            seed: Seeds the order of the training images and starts a new epoch. All environments share one order, so
                only the first element of a sequence is used.
            options: `{"task": t}` or `{"task": [t, u]}` sets the task or tasks.
        """
        episodes = self.begin(seed=seed, options=options)
        return episodes.images, self._masked(self._source.observation_info(episodes))

    def begin(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> Episodes:
        """As `reset`, without reading the images: return the next episodes."""
        seeds = as_plain(seed)
        first: Any = next(iter(seeds), None) if isinstance(seeds, (list, tuple)) else seeds
        super().reset(seed=first)
        self._source.begin(first, options)
        if self._source.evaluates:
            self._source.warn_of_early_end()
            self._source.begin_epoch()
        return self.advance()

    def advance(self) -> Episodes:
        """Leave the current episodes, and return the next ones, without reading their images.

        `step` does so too. Only a caller that pays the rewards and counts the episodes itself needs this method.
        """
        self._episodes = self._source.sample(self.num_envs, self.np_random)
        return self._episodes

    def skip(self, steps: int) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Show the images that come after a number of steps, without taking these steps.

        The images and their rewards do not depend on the actions. So a training that was stopped goes on where it was:
        reset as it was, and skip the steps that were taken. `num_episodes` counts them, `total_regret` does not.

        Args:
            steps: At least 0.

        Returns:
            Observations and `info`, as those of `reset`.

        Raises:
            ValueError: `steps` is negative.
            ResetNeeded: `reset` was not called before.
        """
        episodes = self._current("skip")
        for _ in range(whole_number("steps", steps, 0)):
            self._source.count(episodes)
            episodes = self.advance()
        return episodes.images, self._masked(self._source.observation_info(episodes))

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Classify the images and show the next ones.

        Raises:
            InvalidAction: The actions are not one integer in 0 ... A - 1 for each environment.
            ResetNeeded: `reset` was not called before.
        """
        finished = self._current("step")
        actions = self._checked(actions)
        rewards = self._source.rewards(finished, actions).astype(np.float64)
        terminations, truncations = np.ones(self.num_envs, dtype=np.bool_), np.zeros(self.num_envs, dtype=np.bool_)
        final_info = self._source.observation_info(finished) | self._source.end(finished, actions)
        final_obs = np.empty(self.num_envs, dtype=object)
        final_obs[:] = list(finished.images)

        episodes = self.advance()
        info = self._source.observation_info(episodes) | {"final_obs": final_obs, "final_info": final_info}
        return episodes.images, rewards, terminations, truncations, self._masked(info)

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return one frame per environment, uint8 RGB, of the images that are not yet classified."""
        if self.render_mode is None:
            gym.logger.warn('render() needs a mode: gym.make_vec(..., render_mode="rgb_array")')
            return None
        episodes = self._current("render")
        return tuple(map(render_frame, episodes.images, self._source.num_choices(episodes)))

    def _checked(self, actions: NDArray[np.int64]) -> NDArray[np.int64]:
        chosen = np.asarray(actions)
        count = self._source.action_space.n
        if chosen.shape != (self.num_envs,) or not np.issubdtype(chosen.dtype, np.integer):
            raise InvalidAction(
                f"actions must be {self.num_envs} integers, one for each environment, "
                f"not {chosen.dtype} of shape {chosen.shape}"
            )
        if chosen.min() < 0 or chosen.max() >= count:
            raise InvalidAction(f"actions must be in 0 ... {count - 1}, not {chosen.min()} ... {chosen.max()}")
        return chosen.astype(np.int64)

    def _masked(self, info: dict[str, Any]) -> dict[str, Any]:
        """Add a boolean array `_key` for each key: whether the value is set, in Gymnasium's form of vector infos."""
        masked = {}
        for key, value in info.items():
            masked[key] = self._masked(value) if isinstance(value, dict) else value
            masked[f"_{key}"] = np.ones(self.num_envs, dtype=np.bool_)
        return masked

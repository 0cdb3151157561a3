"""The native vector environment: one gather of images for the whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils import EzPickle
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from cls_env.arguments import whole_number
from cls_env.envs.class_incremental import ClassIncrementalEnv
from cls_env.envs.episodes import Dataset, Episodes, copy_environment, make_source
from cls_env.envs.rendering import checked_render_mode, render_frame
from cls_env.tasks import TaskStream


class ClassIncrementalVectorEnv(VectorEnv[NDArray[np.uint8], NDArray[np.int64], NDArray[Any]], EzPickle):
    """`num_envs` episodes of `ClassIncrementalEnv` at once, drawn from one shuffle.

    The batch shares one pass over the images: with `num_envs` = 32 a step shows the next 32 images, none of them twice
    in a pass. Every step ends all episodes and, in Gymnasium's `AutoresetMode.SAME_STEP`, returns the images of the
    next ones; top-level `info` speaks of these, `info["final_obs"]` and `info["final_info"]` of the finished episodes.
    The images are not copied: the array that a step returns is the one that the next step puts into `final_obs`.

    With validation or test images, each `reset()` begins a new pass. If the last batch of a pass has more slots than
    images, its first slots repeat earlier images, which `info["padding"]` marks. All others appear once in a pass.

    The batch shares one schedule too: it counts images, and a batch may straddle the boundary of two tasks. Images,
    tasks and rewards come in the same order whatever `num_envs` is. `action_masks()` is of shape (N, A);
    `total_regret` and `num_episodes` are of all environments together.

    Args:
        num_envs: Images a step.
        **arguments: As for `ClassIncrementalEnv`; the render mode is `None` or `"rgb_array"`.

    Raises:
        ValueError: As `ClassIncrementalEnv`, or `num_envs` is not positive.
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
        self.autoreset_mode = AutoresetMode.SAME_STEP  # beside the metadata, where TorchRL looks for it
        self.single_observation_space = self._source.observation_space
        self.single_action_space = self._source.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.render_mode = checked_render_mode(render_mode, self.metadata)
        self._everyone = np.ones(num_envs, dtype=np.bool_)
        self._episodes: Episodes | None = None

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Show the next images.

        Args:
            seed: Seeds the order of the training images, and begins a new pass. One order serves all environments: of
                a sequence the first counts.
            options: `{"task": t}` or `{"task": [t, u]}` moves the stream.
        """
        first: Any = next(iter(seed), None) if isinstance(seed, (list, tuple, np.ndarray)) else seed
        first = int(first) if isinstance(first, np.integer) else first
        super().reset(seed=first)
        self._source.begin(first, options)
        if self._source.evaluates:
            self._source.warn_of_early_end()
            self._source.begin_pass()
        self._episodes = self._source.draw(self.num_envs, self.np_random)
        return self._episodes.images, self._masked(self._source.observation_info(self._episodes))

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Classify the images and show the next ones.

        Raises:
            InvalidAction: Not one integer in 0 ... K - 1 for each environment.
            ResetNeeded: No episode has begun.
        """
        if self._episodes is None:
            raise ResetNeeded("call reset() before step()")
        chosen = self._checked(actions)
        finished = self._episodes
        rewards, outcome = self._source.finish(finished, chosen)
        final_info = self._source.observation_info(finished) | outcome
        final_obs = np.empty(self.num_envs, dtype=object)
        final_obs[:] = list(finished.images)

        self._episodes = self._source.draw(self.num_envs, self.np_random)
        info = self._source.observation_info(self._episodes) | {"final_obs": final_obs, "final_info": final_info}
        return (
            self._episodes.images,
            rewards.astype(np.float64),
            self._everyone.copy(),
            ~self._everyone,
            self._masked(info),
        )

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """A frame for each environment, uint8 RGB."""
        if self.render_mode is None:
            gym.logger.warn('render() needs a mode: gym.make_vec(..., render_mode="rgb_array")')
            return None
        if self._episodes is None:
            raise ResetNeeded("call reset() before render()")
        names = self.stream.class_names
        return tuple(
            render_frame(image, names[label], None)
            for image, label in zip(self._episodes.images, self._episodes.labels, strict=True)
        )

    def action_masks(self) -> NDArray[np.bool_]:
        """The action masks of the images on display, bool of shape (N, A).

        Raises:
            ResetNeeded: No episode has begun.
        """
        if self._episodes is None:
            raise ResetNeeded("call reset() before action_masks()")
        return self._source.action_masks(self._episodes)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy that goes on where this environment is; a pickle makes a new one of the same arguments."""
        return copy_environment(self, memo)

    def share_images(self, index: int, count: int) -> int:
        """Show only one of `count` shares of the validation or test images, as `ClassIncrementalEnv.share_images`.

        Raises:
            ValueError: There is no such share, or the split is for training.
        """
        before = self._source.share
        total = self._source.share_out(index, count)
        if self._source.share != before:
            self._episodes = None  # the images on display belong to the share before
        return total

    @property
    def epoch_length(self) -> int:
        """The images of the current tasks."""
        return self._source.epoch_length

    @property
    def action_names(self) -> tuple[str, ...]:
        """The name of each action: the classes in class order and, with `abstain_reward`, `"abstain"`."""
        return self._source.action_names

    @property
    def reward_noise(self) -> str | None:
        """The specification of the noise on the rewards, or None."""
        return self._source.reward_noise

    @property
    def stream_fingerprint(self) -> str:
        """SHA-256 of the stream's class order, tasks, index lists and labels."""
        return self.stream.fingerprint

    @property
    def images_sha256(self) -> str:
        """SHA-256 of the stream's pixels, training images first."""
        return self.stream.dataset.images_sha256

    @property
    def total_regret(self) -> float:
        """The sum of the regrets of all episodes finished since construction, for the experimenter.

        It is kept whatever the feedback; the agent's `info` may withhold it.
        Source: `bsuite_info` of Osband et al., "Behaviour suite for reinforcement learning", ICLR 2020.
        """
        return self._source.total_regret

    @property
    def num_episodes(self) -> int:
        """The episodes finished since construction."""
        return self._source.num_episodes

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
        """Gymnasium's form of vector infos: beside each key a boolean array that tells whose value is set."""
        masked = {}
        for key, value in info.items():
            masked[key] = self._masked(value) if isinstance(value, dict) else value
            masked[f"_{key}"] = self._everyone.copy()
        return masked

"""The parts that the single and the vector environment share: images in use, action masks and properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from cls_env.envs.episodes import Episodes, EpisodeSource, copy_environment
from cls_env.tasks import TaskStream

if TYPE_CHECKING:
    from cls_env.datasets.files.decoding import Decoding


class StreamEnv:
    """Mixin of an environment over a stream of tasks.

    Attributes:
        stream: The stream of tasks.
    """

    stream: TaskStream
    _source: EpisodeSource
    _episodes: Episodes | None
    """The current episodes, one per environment; None before the first reset."""

    def action_masks(self) -> NDArray[np.bool_]:
        """Action masks of the current images, bool of shape (N, A).

        Raises:
            ResetNeeded: `reset` was not called before.
        """
        return self._source.action_masks(self._current("action_masks"))

    def share_images(self, index: int, count: int) -> int:
        """Show only one of `count` shares of the validation or test images. `evaluation_episodes` calls this.

        The environment keeps its share until the next call. `share_images(0, 1)` shows all images. After a change of
        the share, call `reset` before the next step.

        Args:
            index: Which share, 0 ... count - 1.
            count: Number of environments that share the images.

        Returns:
            The number of images in all shares.

        Raises:
            ValueError: The index is out of range, or the split is for training.
        """
        before = self._source.share
        total = self._source.set_share(index, count)
        if self._source.share != before:
            self._episodes = None  # the current image belongs to the previous share
        return total

    @property
    def epoch_length(self) -> int:
        """Number of images of the current tasks."""
        return self._source.epoch_length

    @property
    def image_selection(self) -> tuple[object, ...]:
        """Stream fingerprint, split and current tasks. Equal if two environments show the same images."""
        return self._source.image_selection

    @property
    def action_names(self) -> tuple[str, ...]:
        """Name of each action: the classes in class order and, with `abstain_reward`, `"abstain"`."""
        return self._source.action_names

    @property
    def reward_noise(self) -> str | None:
        """Specification of the reward noise, or None."""
        return self._source.reward_noise

    @property
    def stream_fingerprint(self) -> str:
        """SHA-256 of the stream's class order, tasks, index lists and labels."""
        return self.stream.fingerprint

    @property
    def images_sha256(self) -> str:
        """SHA-256 of the dataset's pixels, training images first."""
        return self.stream.dataset.images_sha256

    @property
    def image_decoding(self) -> Decoding | None:
        """How the dataset's images were decoded from files. None if they were not."""
        return self.stream.dataset.decoding

    @property
    def total_regret(self) -> float:
        """Sum of the regrets of all episodes since construction, for the experimenter.

        It is available with any feedback, even if `info` omits the regret.
        Source: `bsuite_info` of Osband et al., "Behaviour suite for reinforcement learning", ICLR 2020
        (https://arxiv.org/abs/1908.03568).
        """
        return self._source.total_regret

    @property
    def num_episodes(self) -> int:
        """Number of episodes finished since construction."""
        return self._source.num_episodes

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy with the full state. A pickle makes a new environment with the same arguments instead."""
        return copy_environment(self, memo)

    def _current(self, method: str) -> Episodes:
        if self._episodes is None:
            raise ResetNeeded(f"call reset() before {method}()")
        return self._episodes

"""Episodes of one image each, drawn from the current tasks of a stream: the part that both environments share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from cls_env.datasets import ImageDataset
from cls_env.datasets.memory import RowReader
from cls_env.naming import lookup
from cls_env.rewards import action_rewards, reward, zero_one_rewards
from cls_env.tasks import TaskStream

Dataset = str | ImageDataset | tuple[ArrayLike, ...]
FEEDBACKS = {"full": True, "bandit": False}


class Episodes(NamedTuple):
    """A batch of images shown to the agent.

    Attributes:
        images: uint8 of shape (N, H, W, 3).
        labels: int64 of shape (N,), as the learner sees them.
        tasks: The task each image belongs to, int64 of shape (N,).
        rows: The row of each image in its split, int64 of shape (N,).
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    tasks: NDArray[np.int64]
    rows: NDArray[np.int64]


class EpisodeSource:
    """Hands out a stream's images: training in a seeded shuffle without replacement, else in order, each once a pass.

    Passes over the current tasks follow on one another. In an online stream a pass of training images is the only one:
    the next task follows, and after the last the first again.

    Args:
        stream: Where images and labels come from.
        split: `"train"`, `"validation"` or `"test"`.
        task: The task drawn from, or several.
        feedback: `"full"` puts label and rewards of all actions into `info`, `"bandit"` neither.
        reward_matrix: R[label, action], of shape (K, K); by default 1 on the diagonal, else 0.

    Raises:
        ValueError: An argument is unknown, out of range, or of another shape.
    """

    def __init__(
        self,
        stream: TaskStream,
        split: str = "train",
        task: int | Sequence[int] = 0,
        feedback: str = "full",
        reward_matrix: ArrayLike | None = None,
    ) -> None:
        self.stream = stream
        self.observation_space = cast(
            spaces.Space[NDArray[np.uint8]],
            spaces.Box(0, 255, stream.dataset.train_images.shape[1:], np.uint8),
        )
        self.action_space = spaces.Discrete(stream.num_classes)
        self._full_feedback = lookup("feedback", feedback, FEEDBACKS)
        self._shuffled = split == "train"
        self._split = split
        self._read, self._labels = RowReader(stream.images(split)), stream.labels(split)
        self._reward_matrix = _checked_rewards(reward_matrix, stream.num_classes)
        self._tells_success = self._full_feedback or reward_matrix is None
        self._task_of = np.full(len(self._labels), -1)
        self._task_masks = np.zeros((len(stream.tasks), stream.num_classes), dtype=np.int8)
        for member in stream.tasks:
            self._task_of[member.indices(split)] = member.index
            self._task_masks[member.index, member.classes] = 1
        self._moves_on = stream.scenario.one_pass and self._shuffled
        # A batch of an online stream may straddle two tasks, so that no one mask fits all its images.
        self._masks_by_image = self._moves_on or (stream.scenario.task_named_at_test and not self._shuffled)
        self.move_to(task)

    def begin(self, seed: object, options: dict[str, Any] | None) -> None:
        """Apply what was passed to an environment's `reset`: a seed begins a new pass, an option `task` moves on.

        Raises:
            ValueError: An option does not exist, or a task is out of range.
        """
        if unknown := set(options or {}) - {"task"}:
            raise ValueError(f"unknown reset option {', '.join(sorted(unknown))}; the only one is 'task'")
        if seed is not None:
            self.rewind()
        if options:
            self.move_to(options["task"])

    def move_to(self, tasks: int | Sequence[int]) -> None:
        """Draw from these tasks from now on, beginning a new pass.

        Raises:
            ValueError: A task is not in the stream, or none is named.
        """
        chosen = np.atleast_1d(np.asarray(tasks))
        count = len(self.stream.tasks)
        if chosen.size == 0 or chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer):
            raise ValueError(f"task must be an index or a list of indices, not {tasks!r}")
        if chosen.min() < 0 or chosen.max() >= count:
            raise ValueError(f"task {tasks} is out of range: the stream has {count} tasks, 0 ... {count - 1}")
        if len(set(chosen.tolist())) < len(chosen):
            raise ValueError(f"task {tasks} names a task twice")
        self.tasks = tuple(int(index) for index in chosen)
        self._indices = np.concatenate([self.stream.tasks[index].indices(self._split) for index in self.tasks])
        if len(self._indices) == 0:
            raise ValueError(f"task {tasks} has no {self._split} images; give the stream a validation_fraction")
        self.task_mask = np.zeros(count, dtype=np.int8)
        self.task_mask[list(self.tasks)] = 1
        self.action_mask = self._task_masks[list(self.tasks)].max(axis=0)
        self.rewind()

    def rewind(self) -> None:
        """Begin a new pass with the next draw."""
        self._waiting = np.empty(0, dtype=np.int64)
        self._passes = 0

    @property
    def epoch_length(self) -> int:
        """Images in one pass over the current tasks."""
        return len(self._indices)

    def draw(self, count: int, generator: np.random.Generator) -> Episodes:
        """The next images; passes follow on one another within a batch."""
        while len(self._waiting) < count:
            self._waiting = np.concatenate([self._waiting, self._next_pass(generator)])
        rows, self._waiting = self._waiting[:count], self._waiting[count:]
        return Episodes(self._read(rows), self._labels[rows], self._task_of[rows], rows)

    def _next_pass(self, generator: np.random.Generator) -> NDArray[np.int64]:
        if self._moves_on and self._passes:
            waiting = self._waiting
            self.move_to((self.tasks[-1] + 1) % len(self.stream.tasks))
            self._waiting = waiting
        self._passes += 1
        return generator.permutation(self._indices) if self._shuffled else self._indices

    def rewards(self, episodes: Episodes, actions: NDArray[np.int64]) -> NDArray[np.float32]:
        """R[label, action] for each episode, float32 of shape (N,)."""
        return reward(self._reward_matrix, episodes.labels, actions)

    def observation_info(self, episodes: Episodes) -> dict[str, Any]:
        """What `info` says of images on display, as arrays with a row for each."""
        count = len(episodes.labels)
        by_image = self._masks_by_image
        info = {
            "task": episodes.tasks,
            "task_mask": np.repeat(self.task_mask[None], count, axis=0),
            "action_mask": self._task_masks[episodes.tasks]
            if by_image
            else np.repeat(self.action_mask[None], count, 0),
            "epoch_length": np.full(count, self.epoch_length),
        }
        if self._full_feedback:
            info["image_index"] = episodes.rows
            info["label"] = episodes.labels.copy()
            info["action_rewards"] = action_rewards(self._reward_matrix, episodes.labels)
        return info

    def outcome_info(self, episodes: Episodes, actions: NDArray[np.int64]) -> dict[str, Any]:
        """What `info` says of finished episodes, as arrays with a row for each."""
        correct = actions == episodes.labels
        outcome = {"action": actions}
        if self._full_feedback:
            outcome["label"] = episodes.labels.copy()
        if not self._tells_success:
            return {"outcome": outcome}
        return {"outcome": outcome | {"is_success": correct}, "is_success": correct}


def make_source(dataset: Dataset | TaskStream, **arguments: Any) -> EpisodeSource:
    """A source over a stream, or over one made of a data set.

    Args:
        dataset: A complete stream, or images by name or as arrays.
        **arguments: `EpisodeSource`'s, and `TaskStream`'s where `dataset` is not a stream already.

    Raises:
        ValueError: An argument does not fit.
    """
    source_arguments = {
        name: arguments.pop(name) for name in ("split", "task", "feedback", "reward_matrix") if name in arguments
    }
    if not isinstance(dataset, TaskStream):
        dataset = TaskStream(dataset, **arguments)
    elif arguments:
        raise ValueError(f"a TaskStream is complete: drop {', '.join(arguments)}, or give the image set in its place")
    return EpisodeSource(dataset, **source_arguments)


def _checked_rewards(reward_matrix: ArrayLike | None, num_classes: int) -> NDArray[np.float32]:
    if reward_matrix is None:
        return zero_one_rewards(num_classes)
    rewards = np.asarray(reward_matrix, dtype=np.float32)
    if rewards.shape != (num_classes, num_classes) or not np.isfinite(rewards).all():
        raise ValueError(
            f"reward_matrix must hold a finite R[label, action] of shape ({num_classes}, {num_classes}), "
            f"not shape {rewards.shape}"
        )
    return rewards

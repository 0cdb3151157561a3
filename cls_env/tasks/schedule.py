"""When a training stream moves from task to task by itself, at once or little by little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cls_env.arguments import as_plain, number, whole_number

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class TaskSchedule:
    """How many episodes each task has, and how far neighbouring tasks run into each other.

    Around the boundary of two tasks lies a window of `blur` times the shorter one's episodes, centred at the boundary.
    In it an episode is of the later task with a probability that rises on a line from 0 to 1; on the whole each task
    keeps its number of episodes. Windows do not overlap, so that never more than two tasks are possible. After the
    episodes of the last task it stays with that task.
    Source: the gradual change of tasks in Zeno et al., "Task agnostic continual learning using online variational
    Bayes", 2018.

    Attributes:
        episodes: Of each task, at least 1.
        blur: In [0, 1]; 0 makes every boundary abrupt.

    Raises:
        ValueError: A number is out of range.

    >>> TaskSchedule((3, 2)).tasks_at(np.arange(7), np.random.default_rng(0)).tolist()
    [0, 0, 0, 1, 1, 1, 1]
    >>> TaskSchedule((4, 4), blur=1.0).position(np.arange(8)).tolist()
    [0.0, 0.0, 0.125, 0.375, 0.625, 0.875, 1.0, 1.0]
    """

    episodes: tuple[int, ...]
    blur: float = 0.0

    def __post_init__(self) -> None:
        given = as_plain(self.episodes)
        if not isinstance(given, (list, tuple)) or not given:
            raise ValueError(f"task_schedule must be a whole number of episodes for each task, not {given!r}")
        for count in given:
            whole_number("each of task_schedule", count, least=1)
        object.__setattr__(self, "episodes", given)
        object.__setattr__(self, "blur", number("task_blur", self.blur, "[0, 1]"))

    def position(self, episodes: Indices) -> NDArray[np.float64]:
        """The expected task of each episode: t + p where task t + 1 has probability p and task t the rest.

        Args:
            episodes: Numbers counted from 0, int64 of shape (N,).

        Returns:
            float64 of shape (N,), in [0, T - 1].
        """
        counts = np.array(self.episodes)
        windows = self.blur * np.minimum(counts[:-1], counts[1:])
        # An episode's place is its middle, so that two at equal distance before and after a boundary are mirror images.
        from_boundary = episodes[:, None] + 0.5 - np.cumsum(counts)[:-1]
        abrupt = from_boundary > 0
        rising = np.clip(from_boundary / np.where(windows > 0, windows, 1) + 0.5, 0, 1)
        return np.where(windows > 0, rising, abrupt).sum(axis=1)

    def tasks_at(self, episodes: Indices, generator: np.random.Generator) -> Indices:
        """Draw the task of each episode.

        Args:
            episodes: Numbers counted from 0, int64 of shape (N,).
            generator: Gives one number for each episode, whether its task is certain or not.

        Returns:
            int64 of shape (N,).
        """
        return np.floor(self.position(episodes) + generator.random(len(episodes))).astype(np.int64)

    def task_mask(self, episodes: Indices) -> NDArray[np.int8]:
        """Which tasks are possible at each episode, int8 of shape (N, T): one, or two where a boundary is blurred."""
        position = self.position(episodes)[:, None]
        tasks = np.arange(len(self.episodes))
        return (np.abs(position - tasks) < 1).astype(np.int8)

    def task_changed(self, episodes: Indices) -> NDArray[np.bool_]:
        """Whether the most probable task is another one than at the episode before, bool of shape (N,)."""
        return np.isin(episodes, np.cumsum(self.episodes)[:-1])


def make_schedule(given: int | Sequence[int], blur: float, num_tasks: int) -> TaskSchedule:
    """The schedule of a stream.

    Args:
        given: Episodes of each task: one number for all, or one for each.
        blur: As for `TaskSchedule`.
        num_tasks: T, the tasks of the stream.

    Raises:
        ValueError: There are not as many numbers as tasks, or a number is out of range.
    """
    numbers = np.asarray(given).tolist()
    episodes = tuple(numbers) if isinstance(numbers, list) else (numbers,) * num_tasks
    if len(episodes) != num_tasks:
        raise ValueError(
            f"task_schedule={given!r} has {len(episodes)} entries for a stream of {num_tasks} tasks: "
            "give a number of episodes for each task, or one number for all"
        )
    return TaskSchedule(episodes, blur)

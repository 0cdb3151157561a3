"""Task schedules: after how many episodes the training stream changes its task, abruptly or gradually."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cls_env.arguments import as_plain, number, regular_list, whole_number
from cls_env.specification import quoted

Indices = NDArray[np.int64]
MOST_EPISODES = 2**53
"""The largest number up to which float64 holds every whole number."""


@dataclass(frozen=True)
class TaskSchedule:
    """Number of episodes per task, and how much the boundaries between tasks are blurred.

    Around each boundary lies a window, centered at the boundary, of `blur` times the episodes of the shorter of the two
    tasks. Within it, the probability of the later task rises linearly from 0 to 1, so each task keeps its number of
    episodes in expectation. Windows do not overlap: at most two tasks are possible at a time. After the last task's
    episodes, the stream stays with the last task.
    Source: Zeno et al., "Task agnostic continual learning using online variational Bayes", 2018
    (https://arxiv.org/abs/1803.10123).

    Attributes:
        episodes: Episodes of each task, at least 1.
        blur: In [0, 1]. With 0 every boundary is abrupt.

    Raises:
        ValueError: A value is out of range.

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
            raise ValueError(f"task_schedule must be a whole number of episodes for each task, not {quoted(given)}")
        for count in given:
            whole_number("each of task_schedule", count, least=1)
        if sum(given) > MOST_EPISODES:
            raise ValueError(f"task_schedule must be at most {MOST_EPISODES:,} episodes in all, not {quoted(given)}")
        object.__setattr__(self, "episodes", given)
        object.__setattr__(self, "blur", number("task_blur", self.blur, "[0, 1]"))

    def position(self, episodes: Indices) -> NDArray[np.float64]:
        """Expected task of each episode: t + p if task t + 1 has probability p and task t has 1 - p.

        Args:
            episodes: Episode numbers from 0, int64 of shape (N,).

        Returns:
            float64 of shape (N,), in [0, T - 1].
        """
        counts = np.array(self.episodes)
        windows = self.blur * np.minimum(counts[:-1], counts[1:])
        # The middle of an episode counts, so that the window is symmetric about the boundary.
        from_boundary = episodes[:, None] + 0.5 - np.cumsum(counts)[:-1]
        abrupt = from_boundary > 0
        rising = np.clip(from_boundary / np.where(windows > 0, windows, 1) + 0.5, 0, 1)
        return np.where(windows > 0, rising, abrupt).sum(axis=1)

    def tasks_at(self, episodes: Indices, generator: np.random.Generator) -> Indices:
        """Draw the task of each episode.

        Args:
            episodes: Episode numbers from 0, int64 of shape (N,).
            generator: Draws one number per episode, even if its task is certain.

        Returns:
            int64 of shape (N,).
        """
        return np.floor(self.position(episodes) + generator.random(len(episodes))).astype(np.int64)

    def task_mask(self, episodes: Indices) -> NDArray[np.int8]:
        """Mask of the tasks that are possible at each episode, int8 of shape (N, T): one task, or two in a window."""
        position = self.position(episodes)[:, None]
        tasks = np.arange(len(self.episodes))
        return (np.abs(position - tasks) < 1).astype(np.int8)

    def task_changed(self, episodes: Indices) -> NDArray[np.bool_]:
        """Whether the most probable task differs from that of the previous episode, bool of shape (N,)."""
        return np.isin(episodes, np.cumsum(self.episodes)[:-1])


def make_schedule(given: int | Sequence[int], blur: float, num_tasks: int) -> TaskSchedule:
    """Make the schedule of a stream.

    Args:
        given: Episodes per task: one number for all tasks, or one for each.
        blur: As in `TaskSchedule`.
        num_tasks: T, the number of tasks in the stream.

    Raises:
        ValueError: The list has another length than T, or a value is out of range.
    """
    numbers = regular_list("task_schedule", given).tolist()
    episodes = tuple(numbers) if isinstance(numbers, list) else (numbers,) * num_tasks
    if len(episodes) != num_tasks:
        raise ValueError(
            f"task_schedule={quoted(given)} has {len(episodes)} entries for a stream of {num_tasks} tasks: "
            "give one number of episodes for each task, or one number for all"
        )
    return TaskSchedule(episodes, blur)

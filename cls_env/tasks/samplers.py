"""Samplers: which image comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cls_env.arguments import number, regular_list
from cls_env.specification import quoted
from cls_env.tasks import TaskStream
from cls_env.tasks.queues import EpochQueue, EvaluationQueue, SampledRows
from cls_env.tasks.schedule import TaskSchedule, make_schedule

Indices = NDArray[np.int64]
Masks = NDArray[np.int8]
TRAINING_IMAGES = (
    "evaluation_episodes and share_images need split='validation' or split='test'; this environment shows training "
    "images in random order"
)


class Sampler(Protocol):
    """Chooses the next images, and describes the current position in the stream for `info`."""

    tasks: tuple[int, ...]
    """The current tasks."""

    def reset(self) -> None:
        """Start a new epoch with the next image."""

    def set_tasks(self, tasks: int | Sequence[int]) -> None:
        """Switch to these tasks and start a new epoch.

        Raises:
            ValueError: A task is not in the stream, the list is empty, or the sampler chooses its tasks itself.
        """

    def next_indices(self, steps: Indices, generator: np.random.Generator) -> SampledRows:
        """Return the rows of the next images.

        Args:
            steps: Step number of each image, counted from the last seed, int64 of shape (N,).
            generator: The random generator of the environment.
        """

    @property
    def own_epoch_length(self) -> int:
        """Images per epoch that this environment shows itself."""

    def set_share(self, index: int, count: int) -> int:
        """Show only share `index` of `count` shares of the images.

        Returns:
            The number of images in all shares.

        Raises:
            ValueError: The images are training images, which come in random order.
        """

    def info(self, steps: Indices, tasks: Indices) -> dict[str, NDArray[Any]]:
        """Entries of `info`, such as `task_mask`, `action_mask` and `epoch_length`, as new arrays of N rows.

        Args:
            steps: As in `next_indices`.
            tasks: Task of each image, int64 of shape (N,).
        """


class TaskSampler:
    """Samples the images of the current tasks together, epoch after epoch.

    Args:
        stream: The tasks.
        split: `"train"`, `"validation"` or `"test"`.
        tasks: The first task or tasks.
        action_masks: Actions of each task, int8 of shape (T, A).
        task_id_given: Whether the action mask of an image holds only its own task. Otherwise it holds all current
            tasks.
    """

    def __init__(
        self, stream: TaskStream, split: str, tasks: int | Sequence[int], action_masks: Masks, task_id_given: bool
    ) -> None:
        self._stream = stream
        self._split = split
        self._action_masks = action_masks
        self._task_id_given = task_id_given
        self._share = 0, 1
        self.set_tasks(tasks)

    def set_tasks(self, tasks: int | Sequence[int]) -> None:
        """Switch to these tasks and start a new epoch."""
        chosen = np.atleast_1d(regular_list("task", tasks))
        count = len(self._stream.tasks)
        if chosen.size == 0 or chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer):
            raise ValueError(f"task must be an index or a list of indices, not {quoted(tasks)}")
        if chosen.min() < 0 or chosen.max() >= count:
            raise ValueError(f"task {tasks} is out of range: the stream has {count} tasks, 0 ... {count - 1}")
        if len(set(chosen.tolist())) < len(chosen):
            raise ValueError(f"task {tasks} names a task twice")
        rows = np.concatenate([self._stream.tasks[index].indices(self._split) for index in chosen])
        if len(rows) == 0:
            hint = "give the stream a validation_fraction" if self._split == "validation" else "choose another task"
            raise ValueError(f"task {tasks} has no {self._split} images; {hint}")
        self.tasks = tuple(int(index) for index in chosen)
        self._rows = rows
        self._task_mask = np.zeros(count, dtype=np.int8)
        self._task_mask[chosen] = 1
        self._action_mask = self._action_masks[chosen].max(axis=0)
        self.reset()

    def reset(self) -> None:
        """Start a new epoch with the next image."""
        self._queue: EpochQueue | EvaluationQueue
        if self._split == "train":
            self._queue = EpochQueue(self._rows)
        else:
            # Of R images, evaluate_policy counts (R + index) // count in environment `index`, so its share has as many.
            index, count = self._share
            own = self._rows[count - 1 - index :: count]
            self._queue = EvaluationQueue(own if len(own) else self._rows, counts=len(own) > 0)

    @property
    def own_epoch_length(self) -> int:
        """Images per epoch in this environment's share."""
        return len(self._queue)

    def set_share(self, index: int, count: int) -> int:
        """Show only one share of the images. A different share starts a new epoch."""
        if self._split == "train":
            raise ValueError(TRAINING_IMAGES)
        if self._share != (index, count):
            self._share = index, count
            self.reset()
        return len(self._rows)

    def next_indices(self, steps: Indices, generator: np.random.Generator) -> SampledRows:
        """Return the rows of the next images."""
        return self._queue.next_indices(len(steps), generator)

    def info(self, steps: Indices, tasks: Indices) -> dict[str, NDArray[Any]]:
        """`task_mask` of the current tasks, `action_mask` and `epoch_length`."""
        count = len(steps)
        return {
            "task_mask": np.repeat(self._task_mask[None], count, axis=0),
            "action_mask": self._action_masks[tasks]
            if self._task_id_given
            else np.repeat(self._action_mask[None], count, axis=0),
            "epoch_length": np.full(count, len(self._rows)),
        }


class OnlineSampler(TaskSampler):
    """Samples one epoch of the current tasks, then one of the next task. After the last task the first follows.

    A batch may contain images of two tasks, so the action mask is that of each image's own task.

    Args:
        stream: The tasks. Their training images are shown.
        tasks: The first task or tasks.
        action_masks: Actions of each task, int8 of shape (T, A).
    """

    def __init__(self, stream: TaskStream, tasks: int | Sequence[int], action_masks: Masks) -> None:
        super().__init__(stream, "train", tasks, action_masks, task_id_given=True)

    def reset(self) -> None:
        """Restart the epoch of the current tasks with the next image."""
        super().reset()
        self._remaining = len(self._rows)

    def next_indices(self, steps: Indices, generator: np.random.Generator) -> SampledRows:
        """Return the rows of the next images. The next task follows when the epoch ends within the batch."""
        parts, missing = [self._rows[:0]], len(steps)
        while missing:
            if not self._remaining:
                self.set_tasks((self.tasks[-1] + 1) % len(self._stream.tasks))
            parts.append(self._queue.next_indices(min(missing, self._remaining), generator).rows)
            self._remaining -= len(parts[-1])
            missing -= len(parts[-1])
        return SampledRows(np.concatenate(parts), np.zeros(len(steps), dtype=np.bool_))


class ScheduledSampler:
    """Samples the task of each step from a schedule, then an image of that task.

    The tasks and the shuffle of each task have generators of their own, spawned from the environment's. The images and
    their order are therefore the same for every batch size.

    Args:
        stream: The tasks. Their training images are shown.
        schedule: The schedule of these tasks.
        action_masks: Actions of each task, int8 of shape (T, A).
    """

    def __init__(self, stream: TaskStream, schedule: TaskSchedule, action_masks: Masks) -> None:
        self._stream = stream
        self._schedule = schedule
        self._action_masks = action_masks
        self.tasks = tuple(range(len(stream.tasks)))
        self.reset()

    def reset(self) -> None:
        """Restart with the first task."""
        self._queues = [EpochQueue(task.train_indices) for task in self._stream.tasks]
        self._generators: Sequence[np.random.Generator] = ()

    def set_tasks(self, tasks: int | Sequence[int]) -> None:
        """Not available: the schedule sets the task.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"task={quoted(tasks)} and task_schedule can't be combined: the schedule sets the task")

    @property
    def own_epoch_length(self) -> int:
        """Images of all tasks."""
        return sum(len(queue) for queue in self._queues)

    def set_share(self, index: int, count: int) -> int:
        """Not available: the images come in random order.

        Raises:
            ValueError: Always.
        """
        raise ValueError(TRAINING_IMAGES)

    def next_indices(self, steps: Indices, generator: np.random.Generator) -> SampledRows:
        """Return the rows of the next images, each of the task that the schedule draws for its step."""
        if not self._generators:
            self._generators = generator.spawn(1 + len(self._queues))
        task_generator, *shuffles = self._generators
        tasks = self._schedule.tasks_at(steps, task_generator)
        rows = np.empty_like(tasks)
        for task in np.unique(tasks):
            positions = np.flatnonzero(tasks == task)
            rows[positions] = self._queues[task].next_indices(len(positions), shuffles[task]).rows
        return SampledRows(rows, np.zeros(len(rows), dtype=np.bool_))

    def info(self, steps: Indices, tasks: Indices) -> dict[str, NDArray[Any]]:
        """`task_mask` of the possible tasks, `action_mask` of the image's task, `epoch_length` and `task_changed`."""
        task_mask = self._schedule.task_mask(steps)
        return {
            "task_mask": task_mask,
            "action_mask": self._action_masks[tasks],
            "epoch_length": task_mask @ np.array([len(queue) for queue in self._queues]),
            "task_changed": self._schedule.task_changed(steps),
        }


def make_sampler(
    stream: TaskStream,
    split: str,
    task: int | Sequence[int],
    task_schedule: int | Sequence[int] | None,
    task_blur: float,
    action_masks: Masks,
) -> Sampler:
    """Make the sampler that matches an environment's arguments.

    Args:
        stream: The tasks.
        split: `"train"`, `"validation"` or `"test"`.
        task: The first task or tasks.
        task_schedule: Episodes per task. With None the task changes only through `set_tasks`.
        task_blur: As in `TaskSchedule`.
        action_masks: Actions of each task, int8 of shape (T, A).

    Raises:
        ValueError: An argument is out of range, or two arguments can't be combined.
    """
    training = split == "train"
    if task_schedule is not None:
        if not training:
            raise ValueError(f"task_schedule needs split='train', not {split!r}: choose test tasks with `task`")
        if stream.scenario.one_pass:
            raise ValueError(
                f"scenario {stream.scenario.name!r} moves to the next task after one epoch: "
                "remove task_schedule, or choose another scenario"
            )
        if np.atleast_1d(np.asarray(task)).tolist() != [0]:
            raise ValueError(f"task={quoted(task)} and task_schedule can't be combined: a schedule starts with task 0")
        return ScheduledSampler(stream, make_schedule(task_schedule, task_blur, len(stream.tasks)), action_masks)
    if number("task_blur", task_blur, "[0, 1]") != 0:
        raise ValueError(f"task_blur={quoted(task_blur)} needs a task_schedule, whose boundaries it blurs")
    if stream.scenario.one_pass and training:
        return OnlineSampler(stream, task, action_masks)
    return TaskSampler(stream, split, task, action_masks, stream.scenario.task_id_given and not training)

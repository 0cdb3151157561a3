"""In which order the images of a split come: over chosen tasks pass after pass, each once, or by a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cls_env.tasks import TaskStream
from cls_env.tasks.schedule import TaskSchedule, make_schedule

Indices = NDArray[np.int64]
Masks = NDArray[np.int8]
TRAINING_IMAGES = (
    "evaluation_episodes and share_images need split='validation' or split='test'; this environment shows training "
    "images in random order"
)


class Drawn(NamedTuple):
    """The next images.

    Attributes:
        rows: Their rows in the split, int64 of shape (N,).
        padding: True for those that only fill up a batch, bool of shape (N,).
    """

    rows: Indices
    padding: NDArray[np.bool_]


class Sampler(Protocol):
    """What comes next, and what `info` says of where the stream stands."""

    tasks: tuple[int, ...]
    """The current tasks."""

    def rewind(self) -> None:
        """Begin anew with the next image."""

    def move_to(self, tasks: int | Sequence[int]) -> None:
        """Show these tasks from now on, beginning a new pass.

        Raises:
            ValueError: A task is not in the stream, or none is named, or the order is not to be moved.
        """

    def take(self, numbers: Indices, generator: np.random.Generator) -> Drawn:
        """The next images.

        Args:
            numbers: The images shown since the last `rewind`, counted on: int64 of shape (N,).
            generator: The environment's.
        """

    @property
    def pass_length(self) -> int:
        """How many images a pass over the current tasks shows, by this environment alone."""

    def share_out(self, index: int, count: int) -> int:
        """Show one of `count` shares of the images only; how many images all shares have together.

        Raises:
            ValueError: The images come shuffled, so that there is nothing to share out.
        """

    def info(self, numbers: Indices, tasks: Indices) -> dict[str, NDArray[Any]]:
        """`task_mask`, `action_mask`, `epoch_length` and the like, as new arrays with a row for each image.

        Args:
            numbers: As for `take`.
            tasks: The task that each image belongs to, int64 of shape (N,).
        """


class ShuffledQueue:
    """Rows that come pass after pass, each once a pass, each pass in a new shuffle.

    Args:
        rows: int64 of shape (R,), at least one.
    """

    def __init__(self, rows: Indices) -> None:
        self._rows = rows
        self._waiting = rows[:0]

    def __len__(self) -> int:
        """The rows of a pass."""
        return len(self._rows)

    def take(self, count: int, generator: np.random.Generator) -> Drawn:
        """The next rows; a pass is shuffled when its first row is due, and follows on the one before in a batch."""
        while len(self._waiting) < count:
            self._waiting = np.concatenate([self._waiting, generator.permutation(self._rows)])
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return Drawn(taken, np.zeros(count, dtype=np.bool_))


class EvaluationQueue:
    """Rows in the order given, each once a pass; a pass ends with a batch.

    Where the last batch of a pass has more places than there are rows left, the places before them are filled with rows
    that were shown already. So stable-baselines3's `evaluate_policy`, which counts in the last round the last
    environments alone, counts each row once.

    Args:
        rows: int64 of shape (R,), at least one.
        counts: Whether the rows are to be counted; otherwise all of them only fill places.
    """

    def __init__(self, rows: Indices, counts: bool) -> None:
        self._rows = rows
        self._counts = counts
        self._next = 0

    def __len__(self) -> int:
        """The rows of a pass."""
        return len(self._rows) if self._counts else 0

    def take(self, count: int, generator: np.random.Generator) -> Drawn:
        """The next rows."""
        left = self._rows[self._next : self._next + count]
        filled = count - len(left)
        self._next = (self._next + len(left)) % len(self._rows)
        rows = np.concatenate([np.resize(self._rows, filled), left]) if filled else left
        return Drawn(rows, np.arange(count) < (filled if self._counts else count))


class TaskSampler:
    """Passes over the tasks that were chosen, all of them together.

    Args:
        stream: Of tasks.
        split: Whose images are shown.
        tasks: One or several, to begin with.
        action_masks: The actions of each task, int8 of shape (T, A).
        named: Whether the action mask of an image is that of its own task; otherwise of all tasks chosen.
    """

    def __init__(
        self, stream: TaskStream, split: str, tasks: int | Sequence[int], action_masks: Masks, named: bool
    ) -> None:
        self._stream = stream
        self._split = split
        self._action_masks = action_masks
        self._named = named
        self._share = 0, 1
        self.move_to(tasks)

    def move_to(self, tasks: int | Sequence[int]) -> None:
        """Show these tasks from now on, beginning a new pass."""
        chosen = np.atleast_1d(np.asarray(tasks))
        count = len(self._stream.tasks)
        if chosen.size == 0 or chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer):
            raise ValueError(f"task must be an index or a list of indices, not {tasks!r}")
        if chosen.min() < 0 or chosen.max() >= count:
            raise ValueError(f"task {tasks} is out of range: the stream has {count} tasks, 0 ... {count - 1}")
        if len(set(chosen.tolist())) < len(chosen):
            raise ValueError(f"task {tasks} names a task twice")
        rows = np.concatenate([self._stream.tasks[index].indices(self._split) for index in chosen])
        if len(rows) == 0:
            raise ValueError(f"task {tasks} has no {self._split} images; give the stream a validation_fraction")
        self.tasks = tuple(int(index) for index in chosen)
        self._rows = rows
        self._task_mask = np.zeros(count, dtype=np.int8)
        self._task_mask[chosen] = 1
        self._action_mask = self._action_masks[chosen].max(axis=0)
        self.rewind()

    def rewind(self) -> None:
        """Begin a new pass with the next image."""
        self._queue: ShuffledQueue | EvaluationQueue
        if self._split == "train":
            self._queue = ShuffledQueue(self._rows)
        else:
            # Of R rows evaluate_policy counts (R + index) // count in an environment: so many has its share.
            index, count = self._share
            own = self._rows[count - 1 - index :: count]
            self._queue = EvaluationQueue(own if len(own) else self._rows, counts=len(own) > 0)

    @property
    def pass_length(self) -> int:
        """How many images a pass shows."""
        return len(self._queue)

    def share_out(self, index: int, count: int) -> int:
        """Show only one of several shares of the images; another share than before begins a new pass."""
        if self._split == "train":
            raise ValueError(TRAINING_IMAGES)
        if self._share != (index, count):
            self._share = index, count
            self.rewind()
        return len(self._rows)

    def take(self, numbers: Indices, generator: np.random.Generator) -> Drawn:
        """The next images."""
        return self._queue.take(len(numbers), generator)

    def info(self, numbers: Indices, tasks: Indices) -> dict[str, NDArray[Any]]:
        """`task_mask` of the tasks chosen, `action_mask` and `epoch_length`."""
        count = len(numbers)
        return {
            "task_mask": np.repeat(self._task_mask[None], count, axis=0),
            "action_mask": self._action_masks[tasks]
            if self._named
            else np.repeat(self._action_mask[None], count, axis=0),
            "epoch_length": np.full(count, len(self._rows)),
        }


class OnlineSampler(TaskSampler):
    """A single pass over the tasks chosen, then over the next task, and after the last over the first again.

    A batch may straddle two tasks, so that no one action mask fits all its images.

    Args:
        stream: Of tasks; its training images are shown.
        tasks: One or several, to begin with.
        action_masks: The actions of each task, int8 of shape (T, A).
    """

    def __init__(self, stream: TaskStream, tasks: int | Sequence[int], action_masks: Masks) -> None:
        super().__init__(stream, "train", tasks, action_masks, named=True)

    def rewind(self) -> None:
        """Begin the pass over the current tasks again with the next image."""
        super().rewind()
        self._left = len(self._rows)

    def take(self, numbers: Indices, generator: np.random.Generator) -> Drawn:
        """The next images; where a pass ends within a batch, the next task follows."""
        parts, missing = [self._rows[:0]], len(numbers)
        while missing:
            if not self._left:
                self.move_to((self.tasks[-1] + 1) % len(self._stream.tasks))
            parts.append(self._queue.take(min(missing, self._left), generator).rows)
            self._left -= len(parts[-1])
            missing -= len(parts[-1])
        return Drawn(np.concatenate(parts), np.zeros(len(numbers), dtype=np.bool_))


class ScheduledSampler:
    """Tasks that follow on one another by a schedule; each task's images come in passes of their own.

    The tasks and the shuffle of each come from generators that are spawned from the environment's, so that the images
    are the same, and in the same order, in batches of any size.

    Args:
        stream: Of tasks; its training images are shown.
        schedule: Of as many tasks.
        action_masks: The actions of each task, int8 of shape (T, A).
    """

    def __init__(self, stream: TaskStream, schedule: TaskSchedule, action_masks: Masks) -> None:
        self._stream = stream
        self._schedule = schedule
        self._action_masks = action_masks
        self.tasks = tuple(range(len(stream.tasks)))
        self.rewind()

    def rewind(self) -> None:
        """Begin with the first task again."""
        self._queues = [ShuffledQueue(task.train_indices) for task in self._stream.tasks]
        self._generators: Sequence[np.random.Generator] = ()

    def move_to(self, tasks: int | Sequence[int]) -> None:
        """Refused: the schedule moves the stream.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"task={tasks!r} and task_schedule don't go together: the schedule moves the stream by itself")

    @property
    def pass_length(self) -> int:
        """The images of all tasks."""
        return sum(len(queue) for queue in self._queues)

    def share_out(self, index: int, count: int) -> int:
        """Refused: the images come shuffled.

        Raises:
            ValueError: Always.
        """
        raise ValueError(TRAINING_IMAGES)

    def take(self, numbers: Indices, generator: np.random.Generator) -> Drawn:
        """The next images, each of the task that the schedule draws for its number."""
        if not self._generators:
            self._generators = generator.spawn(1 + len(self._queues))
        draws, *shuffles = self._generators
        tasks = self._schedule.tasks_at(numbers, draws)
        rows = np.empty_like(tasks)
        for task in np.unique(tasks):
            mine = np.flatnonzero(tasks == task)
            rows[mine] = self._queues[task].take(len(mine), shuffles[task]).rows
        return Drawn(rows, np.zeros(len(rows), dtype=np.bool_))

    def info(self, numbers: Indices, tasks: Indices) -> dict[str, NDArray[Any]]:
        """`task_mask` of the tasks possible, the image's own `action_mask`, `epoch_length` and `task_changed`."""
        task_mask = self._schedule.task_mask(numbers)
        return {
            "task_mask": task_mask,
            "action_mask": self._action_masks[tasks],
            "epoch_length": task_mask @ np.array([len(queue) for queue in self._queues]),
            "task_changed": self._schedule.task_changed(numbers),
        }


def make_sampler(
    stream: TaskStream,
    split: str,
    task: int | Sequence[int],
    task_schedule: int | Sequence[int] | None,
    task_blur: float,
    action_masks: Masks,
) -> Sampler:
    """The order that an environment's arguments ask for.

    Args:
        stream: Of tasks.
        split: `"train"`, `"validation"` or `"test"`.
        task: One or several, to begin with.
        task_schedule: Episodes of each task; None to stay with the tasks until moved.
        task_blur: As for `TaskSchedule`.
        action_masks: The actions of each task, int8 of shape (T, A).

    Raises:
        ValueError: The arguments don't go together, or one is out of range.
    """
    training = split == "train"
    if task_schedule is not None:
        if not training:
            raise ValueError(f"a task_schedule is for training: split {split!r} shows the tasks of `task`, drop it")
        if stream.scenario.one_pass:
            raise ValueError(
                f"scenario {stream.scenario.name!r} moves on by itself, after one pass over each task: "
                "drop task_schedule, or take another scenario"
            )
        if np.atleast_1d(np.asarray(task)).tolist() != [0]:
            raise ValueError(f"task={task!r} and task_schedule don't go together: a schedule begins with task 0")
        return ScheduledSampler(stream, make_schedule(task_schedule, task_blur, len(stream.tasks)), action_masks)
    if task_blur != 0:
        raise ValueError(f"task_blur={task_blur!r} blurs the boundaries of a task_schedule: give one")
    if stream.scenario.one_pass and training:
        return OnlineSampler(stream, task, action_masks)
    named = stream.scenario.task_named_at_test and not training
    return TaskSampler(stream, split, task, action_masks, named)

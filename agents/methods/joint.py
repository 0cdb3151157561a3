"""Joint training: the upper bound, which needs all old data."""

from __future__ import annotations

from collections.abc import Sequence

from agents.methods.base import Method


class Joint(Method):
    """Learn every task from the images of all tasks so far, the loss over all their classes.

    It goes on from the weights of the task before. With a stream of one task it is joint training on everything.
    The environment must be set to the tasks that `visits` names; `experiments` does so.
    """

    def training_tasks(self, task: int) -> Sequence[int]:
        """All tasks so far."""
        return list(range(task + 1))

"""Checks of the files of an interrupted run before it is resumed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PROGRESS = "train/progress"


def damage(matrix: NDArray[np.float64], logs: Sequence[pd.DataFrame | None], early_stopping: bool = False) -> str:
    """A description of what is wrong with the results of finished tasks; empty if nothing is.

    Args:
        matrix: Accuracies, a row for each finished task and a column for each task; NaN above the diagonal.
        logs: The step log of each finished task; None if the file is missing, without rows if nothing was trained by
            gradients.
        early_stopping: Whether the last step of a task may be missing, as with `KeepBestPass`.

    >>> damage(np.array([[0.5, np.nan], [0.4, 7.0]]), [pd.DataFrame(), pd.DataFrame()])
    'the accuracy 7.0 of task 1 after task 1 is not in [0, 1]'
    >>> damage(np.array([[0.5, np.nan]]), [None])
    'the step log of task 0 is missing'
    """
    for after, row in enumerate(matrix):
        for task, accuracy in enumerate(row[: after + 1]):
            if not 0 <= accuracy <= 1:
                return f"the accuracy {accuracy} of task {task} after task {after} is not in [0, 1]"
        if not np.isnan(row[after + 1 :]).all():
            return f"the row of task {after} has accuracies of tasks that were not learned yet"
    for task, log in enumerate(logs):
        if log is None:
            return f"the step log of task {task} is missing"
        if len(log) and not _is_whole(log[PROGRESS].to_numpy(dtype=float), early_stopping):
            return f"the step log of task {task} lacks steps"
    return ""


def _is_whole(progress: NDArray[np.float64], stopped_early: bool) -> bool:
    """Whether the progress values go evenly from 0 to the last step, which early stopping may leave out."""
    between = np.diff(progress)
    step = between.max(initial=0.0)
    evenly = np.allclose(between, step, atol=1e-6)
    left_out = step if stopped_early else 0.0
    return bool(progress[0] == 0 and evenly and (len(progress) == 1 or progress[-1] + step > 1 - left_out - 1e-6))

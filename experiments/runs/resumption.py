"""Resuming an interrupted run: its checkpoints, and checks of its files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback

from agents import SaveTraining
from agents.algorithms.one_step import OneStepAlgorithm
from agents.algorithms.save_training import Stateful
from cls_env.command_line.errors import one_line
from experiments.console import warn
from experiments.files import reading
from experiments.runs.interruptions import Interruptions
from experiments.runs.run_folder import RunFolder
from experiments.runs.step_log import step_log_file
from experiments.runs.task_records import TaskRecords

Agent = TypeVar("Agent", bound=OneStepAlgorithm)

PROGRESS = "train/progress"


class Resuming:
    """The checkpoints within the tasks of a run.

    Args:
        folder: Of the run.
        interruptions: The signals that ask for a checkpoint.
        minutes: Time between two checkpoints.
    """

    def __init__(self, folder: RunFolder, interruptions: Interruptions, minutes: float) -> None:
        self._folder, self.interruptions, self._minutes = folder, interruptions, minutes

    def saving(self, task: int, callbacks: Sequence[BaseCallback]) -> SaveTraining:
        """The callback that saves within a task, and resumes it.

        Args:
            task: Index of the task.
            callbacks: The further callbacks of its `learn` call.
        """
        return SaveTraining(
            self._folder.training / f"task_{task}",
            self._minutes,
            [callback for callback in callbacks if isinstance(callback, Stateful)],
            step_log_file(self._folder.steps, f"_task{task}"),
            run=self._folder.identity(),
            wanted=self.interruptions.wanted,
            on_saved=self.interruptions.obey,
            warn=warn,
        )

    def finish_task(self) -> None:
        """Remove the checkpoints of a task that is finished."""
        shutil.rmtree(self._folder.training, ignore_errors=True)


def load_newest(folder: RunFolder, load: Callable[[Path], Agent]) -> Agent | None:
    """The agent after the last finished task whose file is whole; None if no task is finished.

    Args:
        folder: Of the run.
        load: Loads a file.

    Raises:
        ValueError: The only file is damaged, or belongs to something else.
    """
    files = [file for file in (folder.model, folder.model_before) if file.exists()]
    for file in files:
        try:
            with reading(file, f"remove the folder {folder.path}, and the same command runs it anew"):
                agent = load(file)
                TaskRecords(folder).check_agent(file, agent.policy.network.tasks_begun)
                return agent
        except ValueError as error:
            if file == files[-1]:
                raise
            warn(f"{one_line(error).partition(';')[0]}; the run goes on from the task before, in {files[-1].name}")
    return None


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


def contradiction(folder: RunFolder, matrix: NDArray[np.float64]) -> str:
    """A description of an accuracy that its predictions don't have; empty if there is none.

    Args:
        folder: Of the run.
        matrix: As in `damage`, of the tasks whose predictions are read.

    Raises:
        ValueError: A file of predictions is damaged.
    """
    for after, row in enumerate(matrix):
        if not folder.has_predictions(f"after_task_{after}"):
            continue
        answers = folder.read_predictions(f"after_task_{after}")
        right = answers["predictions"] == answers["labels"]
        for task, accuracy in enumerate(row[: after + 1]):
            found = float(right[answers["task"] == task].mean())
            if not np.isclose(found, accuracy, rtol=0, atol=1e-8):
                return f"the accuracy {accuracy} of task {task} after task {after} is {found:.9g} by its predictions"
    return ""


def _is_whole(progress: NDArray[np.float64], stopped_early: bool) -> bool:
    """Whether the progress values go evenly from 0 to the last step, which early stopping may leave out."""
    between = np.diff(progress)
    step = between.max(initial=0.0)
    evenly = np.allclose(between, step, atol=1e-6)
    left_out = step if stopped_early else 0.0
    return bool(progress[0] == 0 and evenly and (len(progress) == 1 or progress[-1] + step > 1 - left_out - 1e-6))

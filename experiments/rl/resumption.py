"""Resuming a run of an algorithm of this package; those of other libraries start again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.algorithms.one_step import OneStepAlgorithm
from agents.checkpoint.training_file import read_training_state, write_training_state
from experiments.files import reading
from experiments.rl.curve import EvaluationCallback
from experiments.runs.resumption import load_newest
from experiments.runs.run_folder import RunFolder
from experiments.runs.task_records import TaskRecords


class FinishedTasks:
    """Saves the agent and the curve after each task, until the run is finished.

    Args:
        folder: Of the run.
        evaluation: Has the curve.
    """

    def __init__(self, folder: RunFolder, evaluation: EvaluationCallback) -> None:
        self._folder, self._evaluation = folder, evaluation

    def resume(self, model: BaseAlgorithm, matrix: NDArray[np.float64]) -> tuple[BaseAlgorithm, int]:
        """The agent after the last finished task, and the number of these tasks.

        Args:
            model: A new agent. One of another library is returned.
            matrix: Receives the accuracies after these tasks.
        """
        if not isinstance(model, OneStepAlgorithm):
            return model, 0
        kind, env, device = type(model), model.get_env(), model.device
        found = load_newest(self._folder, lambda file: kind.load(file, env, device=device))
        if found is None:
            return model, 0
        done = found.policy.network.tasks_begun
        for task in range(done):
            TaskRecords(self._folder).check_task(task)
        with reading(self._file(done), f"remove the folder {self._folder.path}, and the same command runs it anew"):
            state = read_training_state(self._file(done))
            matrix[:] = state.pop("matrix").numpy()
            self._evaluation.model = found
            self._evaluation.load_training_state(state)
        return found, done

    def save(self, model: BaseAlgorithm, matrix: NDArray[np.float64]) -> None:
        """Save an agent that has finished a task, and the accuracies."""
        if isinstance(model, OneStepAlgorithm):
            state = self._evaluation.training_state() | {"matrix": torch.from_numpy(matrix)}
            write_training_state(self._file(model.policy.network.tasks_begun), state)
            if self._folder.model.exists():
                self._folder.model.replace(self._folder.model_before)
            model.save(self._folder.model)
            TaskRecords(self._folder).write(model.policy.network.tasks_begun - 1)

    def _file(self, tasks: int) -> Path:
        return self._folder.finished_tasks / f"{tasks}.zip"

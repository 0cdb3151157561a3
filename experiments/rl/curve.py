"""The learning curve of an algorithm: evaluations at equal distances within each task, and what was spent by then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, field, fields

import numpy as np
import pandas as pd
import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from agents.evaluation import TaskEvaluation
from experiments.files import reading
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import Listener
from experiments.runs.summary import ROUNDING

CURVE = "curve.csv"
"""File name of the curve in a run's folder."""
ENTROPIES = ("entropy", "task_entropy")
"""Entropies of a `TaskEvaluation` whose means over test images a curve has."""


@dataclass
class CurvePoint:
    """A row of `curve.csv`: an evaluation, and what had been spent before it.

    Attributes:
        task: The task being learned.
        env_steps: Images acted on so far, in all tasks.
        gradient_steps: Optimizer steps so far.
        seconds: Wall time of learning so far, without evaluations.
        regret: Sum over episodes so far of (best reward - reward).
        accuracy: A_t: mean over the tasks so far, in [0, 1].
        entropy: Mean entropy in nats of a softmax over all seen classes, on test images.
        task_entropy: The same over the classes of the image's task.
    """

    task: int
    env_steps: int
    gradient_steps: int
    seconds: float
    regret: float
    accuracy: float
    entropy: float
    task_entropy: float


@dataclass
class EvaluationCallback(BaseCallback):
    """Evaluates the policy at equal distances within a task, and counts what learning costs.

    Attributes:
        test: Evaluates on all tasks up to the one given.
        tests_per_task: Number of evaluations in each task.
        on_images: Called after every step with its number of images.
        points: The curve so far.
        last: The evaluations at the last point, one for each task.
        env_steps: Images acted on so far.
    """

    test: Callable[[int], list[TaskEvaluation]]
    tests_per_task: int
    on_images: Listener
    points: list[CurvePoint] = field(default_factory=list)
    last: list[TaskEvaluation] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.env_steps = self._gradient_steps = 0
        self._seconds = 0.0
        self._resumed: float | None = None

    def begin_task(self, task: int, images: int) -> None:
        """Prepare for a `learn` call on a task with a number of images."""
        self._task, self._images, self._begun = task, images, self.env_steps
        self._due = 1

    def training_state(self) -> dict[str, Tensor]:
        """The curve and all counts, for a run that is stopped."""
        counts = {"env_steps": self.env_steps, "gradient_steps": self._gradient_steps, "due": self._due}
        rows = [astuple(point) for point in self.points]
        return {name: torch.tensor(count) for name, count in counts.items()} | {
            "begun": torch.tensor(self._begun),
            "seconds": torch.tensor(self._seconds + self._since_resumed(), dtype=torch.float64),
            "regret": torch.tensor(self._regret(), dtype=torch.float64),
            "points": torch.tensor(rows, dtype=torch.float64).reshape(-1, len(fields(CurvePoint))),
        }

    def load_training_state(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `training_state` returned; called when the agent has its environment."""
        self.env_steps, self._gradient_steps = int(tensors["env_steps"]), int(tensors["gradient_steps"])
        self._due, self._begun = int(tensors["due"]), int(tensors["begun"])
        self._seconds, self._resumed = tensors["seconds"].item(), time.perf_counter()
        whole = {"task", "env_steps", "gradient_steps"}
        names = [field.name for field in fields(CurvePoint)]
        self.points = [
            CurvePoint(**{name: int(x) if name in whole else x for name, x in zip(names, row, strict=True)})
            for row in tensors["points"].tolist()
        ]
        self.training_env.get_attr("source")[0].add_regret(0.0, to=tensors["regret"].item())

    def _regret(self) -> float:
        return float(self.training_env.get_attr("total_regret")[0])

    def _since_resumed(self) -> float:
        """Seconds of learning that are not in `_seconds` yet; 0 outside a `learn` call."""
        return 0.0 if self._resumed is None else time.perf_counter() - self._resumed

    def _on_training_start(self) -> None:
        self.model.policy.optimizer.register_step_post_hook(self._count_step)
        self._resumed = time.perf_counter()

    def _on_step(self) -> bool:
        count = self.training_env.num_envs
        self.env_steps += count
        self.on_images(count)
        done = self.env_steps - self._begun
        if done < self._images and done >= self._due * self._images / self.tests_per_task:
            self._due += 1
            self._evaluate()
        return True

    def _on_training_end(self) -> None:
        self._evaluate()
        self._resumed = None

    def _count_step(self, *_: object) -> None:
        self._gradient_steps += 1

    def _evaluate(self) -> None:
        self._seconds += self._since_resumed()
        was_training = self.model.policy.training
        self.last = self.test(self._task)
        self.model.policy.set_training_mode(was_training)
        mean = {key: float(np.mean([getattr(each, key).mean() for each in self.last])) for key in ENTROPIES}
        self.points.append(
            CurvePoint(
                task=self._task,
                env_steps=self.env_steps,
                gradient_steps=self._gradient_steps,
                seconds=self._seconds,
                regret=self._regret(),
                accuracy=float(np.mean([each.accuracy for each in self.last])),
                **mean,
            )
        )
        self._resumed = time.perf_counter()


def read_curve(folder: RunFolder) -> pd.DataFrame:
    """The curve of a finished run, with a column for each field of `CurvePoint`.

    Raises:
        ValueError: It is missing, damaged, or of another run than the metrics.
    """
    final = folder.metrics()["final_accuracy"]
    with reading(folder.path / CURVE, f"remove the folder {folder.path}, and the same command runs it anew"):
        curve = pd.read_csv(folder.path / CURVE)[[field.name for field in fields(CurvePoint)]].astype(float)
        last = curve["accuracy"].iloc[-1]
        if not abs(last - final) < ROUNDING:
            raise ValueError(f"its last accuracy is {last:.6g}, and metrics.json has {final:.6g}")
    return curve

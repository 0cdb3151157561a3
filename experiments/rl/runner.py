"""One run: an algorithm learns a stream task by task, and is tested several times within each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pandas as pd
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from agents.algorithms.one_step import OneStepAlgorithm
from agents.evaluation import Classifier, TaskEvaluation, evaluate_tasks
from agents.networks.backbone import create_backbone, weights_hash
from agents.networks.config import AgentSeeds
from agents.sb3.task_by_task import TaskByTask
from experiments.config.resolved import ResolvedRun, resolve
from experiments.config.validation import check
from experiments.files import replace_file, write_json
from experiments.rl.algorithms import find_algorithm, make_algorithm
from experiments.rl.config import AlgorithmRun
from experiments.runs.job import Entry, Job
from experiments.runs.measures import refuse_absurd
from experiments.runs.metrics import (
    accuracy_curve,
    accuracy_over_images_curve,
    average_accuracy,
    final_accuracy,
    forgetting,
)
from experiments.runs.protocol import runtime_info
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import TEST_BATCH, Listener

CURVE = "curve.csv"
LARGEST_WEIGHT = 1e6
"""No weight of a policy that learns comes near it."""
DEFINITIONS = {
    "mean_regret": "mean over all training episodes of (best reward of any action - reward of the action taken)",
    "env_steps": "images acted on, in all tasks",
    "gradient_steps": "steps of the optimizer in all tasks",
    "training_seconds": "wall time of learning, without tests",
}
"""Measures beside those of `experiments.runs.metrics`."""
ENTROPIES = ("entropy", "task_entropy")
"""Means over test images that a curve keeps."""


@dataclass
class CurvePoint:
    """A row of `curve.csv`: what had been spent when a test was made, and what it gave.

    Attributes:
        task: The task being learned.
        env_steps: Images acted on so far, in all tasks.
        gradient_steps: Steps of the optimizer so far.
        seconds: Wall time of learning so far, without tests.
        regret: Sum over episodes so far of (best reward - reward).
        accuracy: A_t: mean over the tasks so far, in [0, 1].
        entropy: Of a softmax over all classes met, on test images, nats.
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
    """Counts what learning costs, and tests the policy at equal distances within a task.

    Attributes:
        test: Tests on all tasks up to the one given.
        tests_per_task: How often.
        on_images: Told of every step how many images it had.
        moments: The tests made.
        last: The answers of the latest.
        env_steps: Images acted on so far.
    """

    test: Callable[[int], list[TaskEvaluation]]
    tests_per_task: int
    on_images: Listener
    moments: list[CurvePoint] = field(default_factory=list)
    last: list[TaskEvaluation] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.env_steps = self._gradient_steps = 0
        self._seconds = 0.0

    def begin_task(self, task: int, images: int) -> None:
        """Expect a `learn` call on a task's images."""
        self._task, self._images, self._begun = task, images, self.env_steps
        self._due = 1

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
            self._make_test()
        return True

    def _on_training_end(self) -> None:
        self._make_test()

    def _count_step(self, *_: object) -> None:
        self._gradient_steps += 1

    def _make_test(self) -> None:
        self._seconds += time.perf_counter() - self._resumed
        was_training = self.model.policy.training
        self.last = self.test(self._task)
        self.model.policy.set_training_mode(was_training)
        mean = {key: float(np.mean([getattr(each, key).mean() for each in self.last])) for key in ENTROPIES}
        self.moments.append(
            CurvePoint(
                task=self._task,
                env_steps=self.env_steps,
                gradient_steps=self._gradient_steps,
                seconds=self._seconds,
                regret=float(self.training_env.get_attr("total_regret")[0]),
                accuracy=float(np.mean([each.accuracy for each in self.last])),
                **mean,
            )
        )
        self._resumed = time.perf_counter()


def run_algorithm(config: AlgorithmRun, folder: RunFolder, on_images: Listener = lambda count: None) -> dict[str, Any]:
    """Carry out a run; a finished one is only read, an interrupted one begins anew.

    Args:
        config: What to run.
        folder: Where `config.json`, `protocol.json`, `curve.csv`, `accuracy_matrix.csv` and `metrics.json` go.
        on_images: Told of every step how many images it had.

    Returns:
        The contents of `metrics.json`.

    Raises:
        ValueError: The configuration names something unknown or impossible; or learning diverged.
        FileExistsError: The folder holds another run, or one on other images or weights.
        FolderInUseError: Another process carries it out.
    """
    checked = check(config)
    with folder.owned():
        return _run_owned(resolve(checked), folder, on_images)


def _run_owned(run: ResolvedRun, folder: RunFolder, on_images: Listener) -> dict[str, Any]:
    config, stream = run.config, run.stream
    assert isinstance(config, AlgorithmRun)
    torch.set_num_threads(config.threads)
    model = make_algorithm(run)
    folder.claim(config)
    card = _card(run, config, model)
    folder.record_protocol(card)
    if folder.finished:
        on_images(sum(run.images_per_task))
        return folder.metrics()
    write_json(folder.path / "protocol.json", card)  # it begins anew, perhaps with other versions of libraries
    test_env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=TEST_BATCH, dataset=stream, split="test")
    policy = cast(Classifier, model.policy)
    meter = EvaluationCallback(
        lambda task: evaluate_tasks(policy, test_env, range(task + 1)), config.tests_per_task, on_images
    )
    matrix = np.full((len(stream.tasks), len(stream.tasks)), np.nan)
    for task in range(len(stream.tasks)):
        _learn(config, model, task, run.images_per_task[task], meter)
        matrix[task, : task + 1] = [test.accuracy for test in meter.last]
    curve = pd.DataFrame(map(asdict, meter.moments))
    replace_file(folder.path / CURVE, lambda aside: curve.to_csv(aside, index=False, float_format="%.9g"))
    folder.write_matrix(matrix)
    end = meter.moments[-1]
    over_images = accuracy_over_images_curve(matrix, np.array([len(test.labels) for test in meter.last]))
    metrics = {
        "final_accuracy": final_accuracy(matrix),
        "average_accuracy": average_accuracy(matrix),
        "forgetting": forgetting(matrix),
        "accuracy_curve": accuracy_curve(matrix).tolist(),
        "final_accuracy_over_images": float(over_images[-1]),
        "accuracy_over_images_curve": over_images.tolist(),
        "test_entropy": end.entropy if find_algorithm(config.algorithm)[0].outputs_policy else None,
        "mean_regret": end.regret / end.env_steps,
        "env_steps": end.env_steps,
        "gradient_steps": end.gradient_steps,
        "training_seconds": round(end.seconds, 2),
    }
    refuse_absurd(metrics, config.learning_rate)
    write_json(folder.path / "metrics.json", metrics)
    return metrics


def _learn(config: AlgorithmRun, model: BaseAlgorithm, task: int, images: int, meter: EvaluationCallback) -> None:
    env = model.get_env()
    assert env is not None
    env.seed((config.seeds.batch_order + task) % 2**31)
    env.set_options({"task": task})
    meter.begin_task(task, images)
    callbacks: list[BaseCallback] = [meter]
    if not isinstance(model, OneStepAlgorithm):  # the rules that ours follow by themselves
        callbacks.insert(0, TaskByTask(config.freeze_fraction))
    try:
        model.learn(images, callback=CallbackList(callbacks), log_interval=10**9)
    except (ValueError, RuntimeError) as error:  # of PyTorch, which is asked to draw actions from what is no number
        largest = max(float(tensor.detach().abs().amax()) for tensor in model.policy.parameters() if tensor.numel())
        if isinstance(model, OneStepAlgorithm) or largest < LARGEST_WEIGHT:
            raise
        raise ValueError(
            f"{config.algorithm} diverged in task {task}, after {meter.env_steps:,} images, with a weight of "
            f"{largest:g}: give a smaller --learning-rate than {config.learning_rate:g}"
        ) from error


def _card(run: ResolvedRun, config: AlgorithmRun, model: BaseAlgorithm) -> dict[str, Any]:
    _, arguments = find_algorithm(config.algorithm)
    named = {key: getattr(value, "__name__", value) for key, value in arguments.items()}
    learned = sum(tensor.numel() for tensor in model.policy.parameters() if tensor.requires_grad)
    about = runtime_info(run, model.device)
    return {
        "config": config.as_json(),
        "seeds": asdict(config.seeds),
        "algorithm": {"class": type(model).__name__, **named},
        "parameters": {"learned": learned},
        "weights": {"model": config.model, "pretrained": config.pretrained, "sha256": _weights_sha256(run, model)},
        **about,
        "metrics": about["metrics"] | DEFINITIONS,
    }


def _weights_sha256(run: ResolvedRun, model: BaseAlgorithm) -> str:
    """Of the backbone as it was loaded or drawn; the policies of stable-baselines3's algorithms do not keep it."""
    if isinstance(model, OneStepAlgorithm):
        return model.policy.backbone_hash
    config, side = run.config, run.view.size
    seed = AgentSeeds.of(config.seeds.agent).backbone
    return weights_hash(create_backbone(config.model, config.pretrained, (side, side), seed, config.weights))


def _prepare(entries: Sequence[Entry]) -> list[int]:
    """Check all entries, build each algorithm once, and count the images of each run."""
    runs = [entry.checked for entry in entries]
    tried, images = set(), []
    for checked in runs:
        resolved = resolve(checked)
        images.append(sum(resolved.images_per_task))
        assert isinstance(checked.config, AlgorithmRun)
        if checked.config.algorithm not in tried:
            make_algorithm(resolved)
            tried.add(checked.config.algorithm)
    return images


RUNNING = Job(run_algorithm, _prepare)

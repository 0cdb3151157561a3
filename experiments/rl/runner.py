"""One run: an algorithm learns a stream task by task, and is evaluated several times within each task."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pandas as pd
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.algorithms.one_step import OneStepAlgorithm
from agents.evaluation import Classifier, evaluate_tasks
from agents.networks.backbone import create_backbone, weights_hash
from agents.networks.config import AgentSeeds
from agents.sb3.task_by_task import TaskByTask
from experiments.config.comparison import CHECKPOINT_EVERY
from experiments.config.entry import Entry
from experiments.config.resolved import ResolvedRun, resolve
from experiments.config.validation import check
from experiments.files import replace_file, write_json
from experiments.rl.algorithms import find_algorithm, make_algorithm
from experiments.rl.config import AlgorithmRun
from experiments.rl.curve import CURVE, EvaluationCallback
from experiments.rl.last_rollout import ShortenLastRollout
from experiments.rl.measures import ALGORITHM_MEASURES, FinishedAlgorithm, measure_algorithm
from experiments.rl.resumption import FinishedTasks
from experiments.runs.interruptions import Interruptions
from experiments.runs.job import Job
from experiments.runs.measure import refuse_absurd
from experiments.runs.protocol import runtime_info
from experiments.runs.resumption import Resuming
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import TEST_BATCH, Listener

LARGEST_WEIGHT = 1e6
"""Weights of a policy that has not diverged stay far below it."""


def run_algorithm(
    config: AlgorithmRun,
    folder: RunFolder,
    on_images: Listener = lambda count: None,
    checkpoint_every: float = CHECKPOINT_EVERY,
) -> dict[str, Any]:
    """Carry out a run. A finished run is only read.

    An interrupted run of an algorithm of `agents` goes on from its last checkpoint, as in `experiments.runs.runner`.
    A run of another library's algorithm starts again.

    Args:
        config: What to run.
        folder: Where `config.json`, `protocol.json`, `curve.csv`, `accuracy_matrix.csv` and `metrics.json` go, and
            `model.zip` for algorithms of `agents`.
        on_images: Called after every step with its number of images.
        checkpoint_every: Minutes between two checkpoints within a task.

    Returns:
        The contents of `metrics.json`.

    Raises:
        ValueError: The configuration names something unknown or impossible; or learning diverged.
        FileExistsError: The folder holds another run, or one on other images or weights.
        FolderInUseError: Another process carries it out.
    """
    checked = check(config)
    with folder.owned():
        return _run_owned(resolve(checked), folder, on_images, checkpoint_every)


def _run_owned(run: ResolvedRun, folder: RunFolder, on_images: Listener, checkpoint_every: float) -> dict[str, Any]:
    config, stream = run.config, run.stream
    assert isinstance(config, AlgorithmRun)
    torch.set_num_threads(config.threads)
    model = make_algorithm(run)
    folder.claim(config)
    card = _card(run, config, model)
    folder.record_protocol(card)
    if folder.finished:
        folder.tidy()
        on_images(sum(run.images_per_task))
        return folder.metrics()
    test_env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=TEST_BATCH, dataset=stream, split="test")
    matrix = np.full((len(stream.tasks), len(stream.tasks)), np.nan)
    evaluation = EvaluationCallback(
        lambda task: evaluate_tasks(cast(Classifier, model.policy), test_env, range(task + 1)),
        config.tests_per_task,
        on_images,
    )
    finished = FinishedTasks(folder, evaluation)
    model, done = finished.resume(model, matrix)
    if not done:  # it starts, or starts again, perhaps with other versions of libraries
        write_json(folder.path / "protocol.json", card)
    on_images(sum(run.images_per_task[:done]))
    with Interruptions() as interruptions:
        resuming = Resuming(folder, interruptions, checkpoint_every)
        for task in range(done, len(stream.tasks)):
            _learn(config, model, task, run.images_per_task[task], evaluation, resuming)
            matrix[task, : task + 1] = [test.accuracy for test in evaluation.last]
            finished.save(model, matrix)
            resuming.finish_task()
    if done == len(stream.tasks):  # it was stopped after its last task
        evaluation.last = evaluation.test(done - 1)
    curve = pd.DataFrame(map(asdict, evaluation.points))
    replace_file(folder.path / CURVE, lambda aside: curve.to_csv(aside, index=False, float_format="%.9g"))
    folder.write_matrix(matrix)
    metrics = measure_algorithm(
        FinishedAlgorithm(
            matrix=matrix,
            test_images=np.array([len(test.labels) for test in evaluation.last]),
            end=evaluation.points[-1],
            outputs_policy=find_algorithm(config.algorithm)[0].outputs_policy,
        )
    )
    refuse_absurd(metrics, config.learning_rate)
    folder.finish(metrics)
    return metrics


def _learn(
    config: AlgorithmRun,
    model: BaseAlgorithm,
    task: int,
    images: int,
    evaluation: EvaluationCallback,
    resuming: Resuming,
) -> None:
    env = model.get_env()
    assert env is not None
    env.seed((config.seeds.batch_order + task) % 2**31)
    env.set_options({"task": task})
    evaluation.begin_task(task, images)
    callbacks: list[BaseCallback] = [evaluation]
    if not isinstance(model, OneStepAlgorithm):  # `agents`' own algorithms follow these rules by themselves
        shorten = [ShortenLastRollout()] if isinstance(model, OnPolicyAlgorithm | OffPolicyAlgorithm) else []
        callbacks = [TaskByTask(config.freeze_fraction), *shorten, evaluation]
        waiting: AbstractContextManager[None] = nullcontext()
    else:
        saving = resuming.saving(task, callbacks)
        saving.resume(model)
        evaluation.on_images(saving.steps_done * config.batch_size)
        callbacks, waiting = [saving, *callbacks], resuming.interruptions.training()
    try:
        with waiting:
            model.learn(images, callback=CallbackList(callbacks), log_interval=10**9)
    except (ValueError, RuntimeError) as error:  # of PyTorch, which can't draw actions from NaN
        largest = max(float(tensor.detach().abs().amax()) for tensor in model.policy.parameters() if tensor.numel())
        if isinstance(model, OneStepAlgorithm) or largest < LARGEST_WEIGHT:
            raise
        raise ValueError(
            f"{config.algorithm} diverged in task {task}, after {evaluation.env_steps:,} images, with a weight of "
            f"{largest:g}: give a smaller --learning-rate than {config.learning_rate:g}"
        ) from error


def _card(run: ResolvedRun, config: AlgorithmRun, model: BaseAlgorithm) -> dict[str, Any]:
    _, arguments = find_algorithm(config.algorithm)
    named = {key: getattr(value, "__name__", value) for key, value in arguments.items()}
    learned = sum(tensor.numel() for tensor in model.policy.parameters() if tensor.requires_grad)
    about = runtime_info(run, model.device)
    definitions = {name: measure.definition for name, measure in ALGORITHM_MEASURES.items()}
    return {
        "config": config.as_json(),
        "seeds": asdict(config.seeds),
        "algorithm": {"class": type(model).__name__, **named},
        "parameters": {"learned": learned},
        "weights": {"model": config.model, "pretrained": config.pretrained, "sha256": _weights_sha256(run, model)},
        **about,
        "metrics": about["metrics"] | definitions,
    }


def _weights_sha256(run: ResolvedRun, model: BaseAlgorithm) -> str:
    """Hash of the backbone's first weights, which the policies of SB3's algorithms do not keep."""
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

"""One run: a stream, learned task by task, tested after each; resumed at a task's start if it was interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, make_output_format

from agents import EPG, OBJECTIVES
from agents.evaluation import test_tasks
from agents.policy import PEFT_MODULES, PolicyConfig
from cls_env import DATASETS, TaskStream
from cls_env.naming import lookup
from experiments.config import RunConfig
from experiments.files import write_json
from experiments.metrics import accuracy_curve, average_accuracy, final_accuracy, forgetting
from experiments.protocol import protocol_card
from experiments.results import RunFolder

TEST_BATCH = 256
FOLDER_IMAGE_SIZE = 32
Listener = Callable[[int], None]


def run(config: RunConfig, folder: RunFolder, on_images: Listener = lambda count: None) -> dict[str, Any]:
    """Carry out a run, or what is left of it; a finished one is only read.

    Args:
        config: What to run.
        folder: Where its results go.
        on_images: Told of every batch how many images it had.

    Returns:
        The contents of `metrics.json`.

    Raises:
        ValueError: The configuration names something unknown or impossible; nothing has been written.
        FileExistsError: The folder holds another run.
    """
    torch.set_num_threads(config.threads)
    stream = make_stream(config)
    model = make_agent(config, stream)
    folder.claim(config)
    folder.record_protocol(protocol_card(config, stream, model))
    if folder.finished:
        return folder.metrics()

    matrix = np.empty((0, len(stream.tasks)))
    if folder.model.exists():
        model = EPG.load(folder.model, model.get_env(), device=config.device)
        matrix = folder.read_matrix()[: model.policy.tasks_begun]
        on_images(sum(task_images(config, stream, task) for task in range(len(matrix))))
    test_env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=TEST_BATCH, dataset=stream, split="test")
    started = time.perf_counter()
    trained = 0
    for task in range(len(matrix), len(stream.tasks)):
        trained += _learn(config, model, stream, task, folder, test_env, on_images)
        tests = test_tasks(model.policy, test_env, range(task + 1))
        row = np.full(len(stream.tasks), np.nan)
        row[: task + 1] = [test.accuracy for test in tests]
        matrix = np.vstack([matrix, row])
        folder.write_predictions(f"after_task_{task}", tests)
        folder.write_matrix(matrix)
        model.save(folder.model)  # the last of a task's files: it says how far the run has come
    seconds = time.perf_counter() - started
    metrics = summary(matrix, folder.read_predictions(f"after_task_{len(matrix) - 1}")["entropy"])
    metrics |= {"seconds": round(seconds, 2), "images_per_second": round(trained / seconds, 1)}
    write_json(folder.path / "metrics.json", metrics)
    return metrics


def summary(matrix: np.ndarray[Any, np.dtype[np.float64]], test_entropy: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The measures of a finished run, as defined in `experiments.metrics`."""
    return {
        "final_accuracy": final_accuracy(matrix),
        "average_accuracy": average_accuracy(matrix),
        "forgetting": forgetting(matrix),
        "test_entropy": float(test_entropy.mean()),
        "accuracy_curve": accuracy_curve(matrix).tolist(),
    }


def check(config: RunConfig) -> None:
    """Refuse what is unknown or impossible, before any long work.

    Raises:
        ValueError: Names the entry, and for a name the nearest known one.
    """
    lookup("dataset", config.dataset, DATASETS)
    lookup("objective", config.objective, OBJECTIVES)
    lookup("PEFT module", config.peft, PEFT_MODULES)
    if config.dataset == "folder" and config.root is None:
        raise ValueError("--dataset folder needs --root, a folder with train/ and test/ or a zip of one")
    if config.dataset != "folder" and config.root is not None:
        raise ValueError(f"--root belongs to --dataset folder, not to {config.dataset}")
    if config.root is not None and not Path(config.root).exists():
        raise ValueError(f"--root {config.root} does not exist")
    for name in ("epochs", "batch_size", "num_tasks", "threads", "learning_rate"):
        if getattr(config, name) <= 0:
            raise ValueError(f"{name} must be positive, not {getattr(config, name)}")
    if not 0 <= config.freeze_fraction <= 1:
        raise ValueError(f"freeze_fraction is a share of the steps in [0, 1], not {config.freeze_fraction}")
    if config.image_size is not None and config.dataset != "folder":
        raise ValueError(f"--image-size belongs to --dataset folder, not to {config.dataset}")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here; use --device auto or cpu")


def make_stream(config: RunConfig) -> TaskStream:
    """The stream of a configuration."""
    check(config)
    options: dict[str, Any] = {"seed": config.seeds.images}
    if config.dataset == "folder":
        options = {"root": config.root, "image_size": config.image_size or FOLDER_IMAGE_SIZE}
    return TaskStream(
        config.dataset,
        config.num_tasks,
        seed=config.seeds.stream,
        label_noise=config.label_noise,
        dataset_options=options,
    )


def make_agent(config: RunConfig, stream: TaskStream) -> EPG:
    """An untrained agent on the stream's training images."""
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=config.batch_size, dataset=stream)
    overrides = {name: getattr(config, name) for name in PolicyConfig.__dataclass_fields__ if hasattr(config, name)}
    return EPG(
        "ViTPolicy",
        env,
        objective=config.objective,
        learning_rate=config.learning_rate,
        batch_size=config.batch_size,
        freeze_fraction=config.freeze_fraction,
        cache_features=config.cache_features,
        precision=config.precision,
        policy_kwargs=overrides,
        seed=config.seeds.agent,
        device=config.device,
    )


def task_images(config: RunConfig, stream: TaskStream, task: int) -> int:
    """Images on which a task is trained: whole batches of all its epochs."""
    images = config.epochs * len(stream.tasks[task].train_indices)
    return -(-images // config.batch_size) * config.batch_size


def _learn(
    config: RunConfig,
    model: EPG,
    stream: TaskStream,
    task: int,
    folder: RunFolder,
    test_env: gym.vector.VectorEnv[Any, Any, Any],
    on_images: Listener,
) -> int:
    """Train on one task, and return on how many images."""
    env = model.get_env()
    assert env is not None
    env.seed((config.seeds.batch_order + task) % 2**31)
    env.set_options({"task": task})
    folder.steps.mkdir(exist_ok=True)
    model.set_logger(Logger(str(folder.steps), [make_output_format("csv", str(folder.steps), f"_task{task}")]))
    images = task_images(config, stream, task)
    watcher = _TaskWatcher(
        lambda: folder.write_predictions(f"before_task_{task}", test_tasks(model.policy, test_env, [task])), on_images
    )
    model.learn(images, callback=watcher, log_interval=1, reset_num_timesteps=task == 0)
    model.logger.close()
    return images


class _TaskWatcher(BaseCallback):
    """Tests the policy when the head has grown and nothing is learned yet, and reports images as they go by."""

    def __init__(self, before: Callable[[], object], on_images: Listener) -> None:
        super().__init__()
        self._before = before
        self._on_images = on_images

    def _on_training_start(self) -> None:
        self._before()

    def _on_step(self) -> bool:
        self._on_images(self.training_env.num_envs)
        return True

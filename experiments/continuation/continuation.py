"""A trained model learns the new classes of a folder as its next task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from agents.algorithms.one_step import OneStepAlgorithm
from agents.checkpoint.policy_file import read_agent
from agents.evaluation import evaluate_tasks
from cls_env import ImageDataset, TaskStream, load_dataset
from cls_env.datasets import extend_classes
from cls_env.datasets.files.decoding import Decoding
from cls_env.tasks.class_order import task_sizes
from experiments.continuation.new_classes import named, new_classes
from experiments.saved_models.open_model import open_model

TEST_BATCH = 256


@dataclass(frozen=True)
class Continuation:
    """A model in an environment of its classes and new ones, whose last task are the new ones.

    Attributes:
        agent: The model.
        stream: The tasks. Those before the last one hold the learned classes, and have no images if these are absent.
        learned: Names of the classes that the model has learned.
        found: Names of the folder's classes, in its order.
    """

    agent: OneStepAlgorithm
    stream: TaskStream
    learned: tuple[str, ...]
    found: tuple[str, ...]

    @property
    def new(self) -> tuple[str, ...]:
        """Names of the new classes."""
        return self.stream.class_names[len(self.learned) :]

    @property
    def shows_learned(self) -> bool:
        """Whether there are images of the learned classes."""
        return not self.stream.dataset.absent_classes

    @property
    def images(self) -> int:
        """Number of images of an epoch: of the new classes, and of all others that the method trains on again."""
        return sum(len(self.stream.tasks[task].train_indices) for task in self._training_tasks())

    def learn(self, epochs: int, seed: int, on_images: Callable[[int], object]) -> None:
        """Learn the new classes.

        Args:
            epochs: Passes over the images; a method without gradients reads each once.
            seed: Random seed of the order of the images.
            on_images: Receives the number of images of each step.

        Raises:
            ValueError: The method can't learn a further task, or needs images that are not here.
            DivergedError: Training diverged.
        """
        agent, tasks = self.agent, self._training_tasks()
        env = agent.get_env()
        assert env is not None
        env.seed(seed)
        env.set_options({"task": tasks})

        def report(local: dict[str, Any], scope: dict[str, Any]) -> bool:
            on_images(env.num_envs)
            return True

        agent.learn(max(epochs * self.images, 1), callback=report, reset_num_timesteps=False)

    def accuracy(self, tasks: Sequence[int]) -> float:
        """Accuracy on the test images of some tasks, among all classes learned so far."""
        env = gym.make_vec(
            "cls_env/ClassIncremental-v0", num_envs=TEST_BATCH, dataset=self.stream, split="test", task=tasks[0]
        )
        tests = evaluate_tasks(self.agent.policy, env, tasks)
        return float(np.concatenate([test.labels == test.predictions for test in tests]).mean())

    def test_images(self, tasks: Sequence[int]) -> int:
        """Number of test images of some tasks."""
        return sum(len(self.stream.tasks[task].test_indices) for task in tasks)

    def _training_tasks(self) -> list[int]:
        last = len(self.stream.tasks) - 1
        tasks = list(self.agent.policy.method.training_tasks(last))
        if tasks != [last] and not self.shows_learned:
            raise ValueError(
                f"method {self.agent.policy.config.method!r} trains on the images of all tasks again: give a folder "
                "with the learned classes too"
            )
        return tasks


def begin(
    model: Path,
    root: Path,
    options: Mapping[str, Any],
    device: str = "auto",
    learning_rate: float | None = None,
    weights: Path | None = None,
) -> Continuation:
    """Load a model into an environment of its classes and the new ones of a folder.

    Args:
        model: File of a saved agent.
        root: The folder, zip or tar.
        options: Further arguments of its loader.
        device: Where the model runs.
        learning_rate: Learning rate. By default the model's own.
        weights: The backbone's weights file, if it has moved.

    Raises:
        FileNotFoundError: The file or the folder is missing.
        ValueError: The model does not name its classes or has learned nothing; the folder has nothing new, or some of
            the model's classes and not others; or either can't be read.
    """
    saved = read_agent(model)
    if saved.get("class_names") is None:
        raise ValueError(f"{model} does not name its classes, so new ones can't be told from them: train it again")
    if saved["learning_rate"] is None and learning_rate is None:
        raise ValueError(f"{model} was trained at a rate that changed within each task: give --learning-rate")
    check_options(options)
    own: dict[str, Any] = {} if learning_rate is None else {"learning_rate": learning_rate}
    agent = open_model(model, device, weights, **own)
    dataset = load_dataset("folder", root=root, **(asdict(agent.file_decoding) | dict(options)))
    seen = set(agent.policy.seen_classes.tolist())
    learned = tuple(name for action, name in enumerate(agent.class_names or ()) if action in seen)
    if not learned:
        raise ValueError(f"{model} has learned no class yet: train it with `cls-env run`")
    new_classes(learned, dataset.class_names, model, root)
    stream = grown_stream(dataset, learned, agent.policy.network.tasks_begun)
    env = gym.make_vec(
        "cls_env/ClassIncremental-v0", num_envs=agent.batch_size, dataset=stream, task=len(stream.tasks) - 1
    )
    agent.set_env(env, match_classes=True)
    return Continuation(agent, stream, learned, dataset.class_names)


def check_options(options: Mapping[str, Any]) -> None:
    """Check the arguments of the loader that the user gives.

    Raises:
        ValueError: One is set by the model, or by another option.
    """
    fixed = {field.name: "the model's" for field in fields(Decoding)} | {"root": "given as --root"}
    for name in sorted(set(fixed) & set(options)):
        raise ValueError(f"--options {name}={options[name]}: it is {fixed[name]}; leave it out")


def grown_stream(dataset: ImageDataset, learned: Sequence[str], tasks_begun: int) -> TaskStream:
    """A stream whose last task are the classes of a dataset that are not learned.

    The learned classes are evenly distributed over the tasks before, since methods ask for the number of tasks alone.
    """
    extended = extend_classes(dataset, learned)
    before = task_sizes(len(learned), min(max(tasks_begun, 1), len(learned)), None, None)
    return TaskStream(extended, [*before, len(extended.class_names) - len(learned)], class_order="natural")


def moved_classes(found: Sequence[str], learned: Sequence[str]) -> str | None:
    """The learned classes, in words, whose position among those of the folder has changed; None if there is none."""
    known = [name for name in found if name in set(learned)]
    moved = [name for place, name in enumerate(known) if found[place] != name]
    return named(moved) if moved else None

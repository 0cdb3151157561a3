"""What a run would do, before it does it: its tasks, what learns, and an estimate of compute and memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from agents.methods import Batch, TaskInfo
from agents.policy import ViTPolicy, parameter_counts
from cls_env import DATASETS, ImageDataset, TaskStream
from cls_env.datasets import DatasetCard
from experiments.config.builders import augments, make_stream, policy_entries, stored_size, task_images
from experiments.config.settings import RunConfig

ASSUMED_RATES = {"bfloat16": 100e12, "float32": 10e12}
"""Floating-point operations a second for which hours are given: a third to a half of an A100's peak."""
ADAM_STATES, SGD_STATES = 2, 1
BYTES = 4


@dataclass(frozen=True)
class PlannedTask:
    """One line of the task table; images are counted, or, of a set that is not here, divided evenly."""

    classes: int
    content: str
    train_images: int
    validation_images: int
    test_images: int
    learned_images: int


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        images: Where the images are, or what is missing.
        fingerprint: Of the stream; None where the images are not here.
        tasks: A line for each.
        parameters: Scalars in the frozen backbone, in PEFT modules of it, in the method, and in the head at the end.
        head_flops: Floating-point operations for one image while only the head learns.
        step_flops: The same for a whole step, forward and backward.
        total_flops: Of the run with its tests.
        memory: Bytes of weights, gradients, optimizer states and activations of a step.
    """

    images: str
    fingerprint: str | None
    tasks: tuple[PlannedTask, ...]
    parameters: dict[str, int]
    head_flops: float
    step_flops: float
    total_flops: float
    memory: int


def make_plan(config: RunConfig) -> Plan:
    """Plan a run without training, and without touching the network: the backbone's weights are random.

    Images that are at hand are decoded, if that was not done before; those that are not are taken from their card, as
    many of each class.

    Raises:
        ValueError: The configuration is impossible.
        FileNotFoundError: The images are not here, and their card does not say how many there are.
    """
    config = replace(config, options=tuple(option for option in config.options if not option.startswith("download=")))
    card = DATASETS[config.dataset]
    try:
        stream = make_stream(config)
        images, fingerprint = repr(stream.dataset), stream.fingerprint
    except FileNotFoundError as missing:
        if card.classes is None or card.images is None:
            raise
        stream = make_stream(config, _placeholder(card, stored_size(config, card)))
        images, fingerprint = f"not here, so taken to be as many of each class: {missing}", None
    tasks = _tasks_of(stream, config)
    side, classes = stream.dataset.train_images.shape[1], stream.num_classes
    policy = _random_policy(config, side, classes)
    for index, task in enumerate(tasks[:2]):  # some methods do more from the second task on
        known = range(index * tasks[0].classes, index * tasks[0].classes + task.classes)
        actions = [action % classes for action in known]
        looked_at = TaskInfo(index, actions, len(tasks), images=lambda: iter([_black_batch(policy, side)]))
        policy.begin_task(actions, freeze_peft=False, task=looked_at)
    learns = policy.method.learns_by_gradient
    head, step = _flops(policy, side, backward=False), _flops(policy, side, backward=learns)
    activations = _activation_bytes(policy, side, config.precision) * config.batch_size if learns else 0
    trainable = sum(tensor.numel() for tensor in policy.trainable_parameters)
    states = ADAM_STATES if config.optimizer == "adam" else SGD_STATES
    weights = sum(tensor.numel() for tensor in policy.parameters())
    policy.network.head.grow(range(classes))
    return Plan(
        images,
        fingerprint,
        tasks,
        parameter_counts(policy),
        head,
        step,
        _total_flops(config, tasks, head, step),
        BYTES * (weights + (1 + states) * trainable) + activations,
    )


@dataclass(frozen=True)
class AbsentImages:
    """The shape of images that are not here."""

    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8."""
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        """How many there would be."""
        return self.shape[0]

    def __getitem__(self, rows: Any, /) -> Any:
        """There are none.

        Raises:
            FileNotFoundError: Always.
        """
        raise FileNotFoundError("the images are not here; only their number is known")


def _placeholder(card: DatasetCard, side: int) -> ImageDataset:
    """The images of a card, as many of each class, without pixels."""
    assert card.classes is not None and card.images is not None
    images = [AbsentImages((count, side, side, 3)) for count in card.images]
    labels = [np.arange(count) % card.classes for count in card.images]
    names = tuple(f"class {index}" for index in range(card.classes))
    dataset = ImageDataset(card.name, images[0], labels[0], images[1], labels[1], names)
    object.__setattr__(dataset, "images_sha256", "")
    return dataset


def _tasks_of(stream: TaskStream, config: RunConfig) -> tuple[PlannedTask, ...]:
    return tuple(
        PlannedTask(
            len(task.classes),
            task.domain or ", ".join(stream.class_names[label] for label in task.classes[:3]) + " ...",
            len(task.train_indices),
            len(task.validation_indices),
            len(task.test_indices),
            task_images(config, stream, task.index),
        )
        for task in stream.tasks
    )


def _random_policy(config: RunConfig, side: int, classes: int) -> ViTPolicy:
    entries = policy_entries(replace(config, pretrained=False, weights=None))
    images = gym.spaces.Box(0, 255, (side, side, 3), np.uint8)
    return ViTPolicy(images, gym.spaces.Discrete(classes), lambda _: config.learning_rate, **entries)


def _pass(policy: ViTPolicy, side: int, backward: bool) -> None:
    """Two images through the policy, since batch norm needs more than one."""
    batch = _black_batch(policy, side)
    policy.set_training_mode(backward)
    with torch.set_grad_enabled(backward):
        logits = policy.method.training_logits(policy.network, batch) if backward else policy(batch.images)
    if backward:
        logits[:, policy.network.head.actions].sum().backward()


def _black_batch(policy: ViTPolicy, side: int) -> Batch:
    images = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    rewards = torch.zeros(2, policy.network.head.num_actions)
    return Batch(images, rewards, torch.ones_like(rewards), None, policy.network.preprocessing)


def _flops(policy: ViTPolicy, side: int, backward: bool) -> float:
    with FlopCounterMode(display=False) as counter:
        _pass(policy, side, backward)
    return counter.get_total_flops() / 2


def _activation_bytes(policy: ViTPolicy, side: int, precision: str) -> int:
    """Bytes that autograd keeps of one image for the backward pass."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in policy.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    half = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
    unpack: Callable[[Any], Any] = lambda tensor: tensor  # noqa: E731
    with torch.autograd.graph.saved_tensors_hooks(keep, unpack), half:
        _pass(policy, side, backward=True)
    return sum(kept.values()) // 2


def _total_flops(config: RunConfig, tasks: tuple[PlannedTask, ...], head: float, step: float) -> float:
    """Learning, and a test of the task before it and of all tasks so far after it."""
    total, seen = 0.0, 0
    for index, task in enumerate(tasks):
        frozen = round(config.freeze_fraction * task.learned_images) if index else 0
        cached = config.cache_features and not augments(config)
        forwards = min(frozen, task.train_images) if cached else frozen
        seen += task.test_images
        total += forwards * head + (task.learned_images - frozen) * step + (seen + task.test_images) * head
    return total

"""Plans a run without training it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from agents.networks.preprocessing import View
from agents.networks.views import TrainView
from agents.policy import ViTPolicy, parameter_counts
from cls_env import DATASETS, ImageDataset
from cls_env.datasets import DatasetCard
from experiments.comparisons.flops import IMAGES, costs_of_tasks, evaluation_flops, train, training_flops
from experiments.config.builders import stored_size
from experiments.config.identity import precision_here
from experiments.config.resolved import ResolvedRun, resolve
from experiments.config.validation import CheckedRun
from experiments.runs.plan import Plan, PlannedTask

ADAM_STATES, SGD_STATES = 2, 1
BYTES = 4


def make_plan(run: CheckedRun) -> Plan:
    """Plan a run without training and without network access; the backbone's weights are random.

    Raises:
        ValueError: The configuration is impossible.
        FileNotFoundError: The images are not here, and their card does not say how many there are.
    """
    return plan_resolved(*resolve_offline(run))


def plan_resolved(resolved: ResolvedRun, missing: FileNotFoundError | None) -> Plan:
    """The plan of a run that `resolve_offline` has resolved."""
    tasks = _planned_tasks(resolved)
    side, classes = resolved.stream.dataset.train_images.shape[1], resolved.stream.num_classes
    policy = _random_policy(resolved, side, classes)
    actions = _first_classes(tasks, classes)
    by_parts = (resolved.config.micro_batch or inf) < resolved.config.batch_size
    cache, view = resolved.learner["cache_features"], _view(resolved, policy)
    costs = costs_of_tasks(policy, side, actions, cache, view, by_parts)
    gradients = resolved.method.learns_by_gradient
    config = resolved.config
    precisions = (config.precision, precision_here(config.precision, config.device))
    on_gpu, here = (
        _activation_bytes(policy, side, precision, fused) if gradients else 0
        for precision, fused in zip(precisions, (True, False), strict=True)
    )
    memory = _training_bytes(resolved, policy, on_gpu)
    policy.network.head.grow(range(classes))
    absent = f"not here, so taken to be as many of each class: {missing}"
    return Plan(
        repr(resolved.stream.dataset) if missing is None else absent,
        resolved.stream.fingerprint if missing is None else None,
        tasks,
        parameter_counts(policy),
        costs[-1].test,
        costs[-1].step,
        training_flops(resolved, tasks, costs),
        evaluation_flops(resolved, tasks, costs),
        memory,
        here,
        sum(ceil(task.learned_images / config.batch_size) for task in tasks if gradients),
        tuple(costs),
        policy.method.state_bytes,
    )


def _view(run: ResolvedRun, policy: ViTPolicy) -> View | None:
    """The view of images in training; None for that of the test."""
    if not run.augments:
        return None
    view = TrainView(policy.network.preprocessing.view.size, run.config.crop_scale)
    return partial(view, generator=torch.Generator())


def _first_classes(tasks: Sequence[PlannedTask], classes: int) -> list[list[int]]:
    """The classes of the first two tasks; some methods do more from the second task on."""
    begins = [0, *np.cumsum([task.classes for task in tasks]).tolist()]
    return [[action % classes for action in range(*begins[index : index + 2])] for index in range(min(2, len(tasks)))]


def resolve_offline(run: CheckedRun) -> tuple[ResolvedRun, FileNotFoundError | None]:
    """The resolved run without a download, and the error if its images are not here.

    Images that are here are decoded if that was not done before. The number of those that are not here is taken from
    the dataset's card, and divided evenly over the classes.

    Raises:
        ValueError: The configuration is impossible.
        FileNotFoundError: The images are not here, and their card does not say how many there are.
    """
    options = tuple(option for option in run.config.options if not option.startswith("download="))
    run = replace(run, config=replace(run.config, options=options))
    try:
        return resolve(run), None
    except FileNotFoundError as missing:
        card = DATASETS[run.config.dataset]
        if card.classes is None or card.images is None:
            raise
        return resolve(run, _placeholder(card, stored_size(run))), missing


@dataclass(frozen=True)
class AbsentImages:
    """Images that are not here; only their shape is known."""

    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, uint8."""
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        """Number of images."""
        return self.shape[0]

    def __getitem__(self, rows: Any, /) -> Any:
        """Fail: there are no pixels.

        Raises:
            FileNotFoundError: Always.
        """
        raise FileNotFoundError("the images are not here; only their number is known")


def _placeholder(card: DatasetCard, side: int) -> ImageDataset:
    """A dataset without pixels of the card's size, with equally many images of each class."""
    assert card.classes is not None and card.images is not None
    images = [AbsentImages((count, side, side, 3)) for count in card.images]
    labels = [np.arange(count) % card.classes for count in card.images]
    names = tuple(f"class {index}" for index in range(card.classes))
    dataset = ImageDataset(card.name, images[0], labels[0], images[1], labels[1], names)
    object.__setattr__(dataset, "images_sha256", "")
    return dataset


def _planned_tasks(run: ResolvedRun) -> tuple[PlannedTask, ...]:
    stream = run.stream
    return tuple(
        PlannedTask(
            len(task.classes),
            task.domain or ", ".join(stream.class_names[label] for label in task.classes[:3]) + " ...",
            len(task.train_indices),
            len(task.validation_indices),
            len(task.test_indices),
            run.images_per_task[task.index],
        )
        for task in stream.tasks
    )


def _random_policy(run: ResolvedRun, side: int, classes: int) -> ViTPolicy:
    entries = run.policy | {"pretrained": False, "weights": None}
    images, actions = gym.spaces.Box(0, 255, (side, side, 3), np.uint8), gym.spaces.Discrete(classes)
    method = copy.deepcopy(run.method)
    return ViTPolicy(images, actions, lambda _: run.config.learning_rate, made_method=method, **entries)


def _activation_bytes(policy: ViTPolicy, side: int, precision: str, fused_attention: bool) -> int:
    """Bytes that autograd keeps for the backward pass, for one image; for `auto` as on a GPU."""
    policy.network.fused_attention = fused_attention
    policy.precision = "bfloat16" if precision in ("auto", "bfloat16") else "float32"
    more, less = (_kept_bytes(policy, side, count) for count in (2 * IMAGES, IMAGES))
    policy.precision, policy.network.fused_attention = "auto", False
    return (more - less) // IMAGES


def _kept_bytes(policy: ViTPolicy, side: int, count: int) -> int:
    """Bytes that autograd keeps for the backward pass, for some images, and for converted weights.

    The pass is made with shapes alone, since arithmetic in bfloat16 takes minutes on some CPUs.
    """
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            return _kept_in_a_pass(policy, side, count)
    except Exception:  # a method of the user's may need the values of tensors
        return _kept_in_a_pass(policy, side, count)


def _kept_in_a_pass(policy: ViTPolicy, side: int, count: int) -> int:
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage  # held, so that no other one has its address
        return tensor

    unpack: Callable[[Any], Any] = lambda tensor: tensor  # noqa: E731
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, unpack):
            train(policy, side, count=count)
    finally:
        policy.optimizer.zero_grad(set_to_none=True)
    return sum(storage.nbytes() for storage in kept.values())


def _training_bytes(run: ResolvedRun, policy: ViTPolicy, image_bytes: int) -> int:
    """Bytes of weights, gradients, optimizer states and the activations of a batch."""
    config = run.config
    weights = sum(tensor.numel() for tensor in policy.parameters())
    trainable = sum(tensor.numel() for tensor in policy.trainable_parameters)
    states = ADAM_STATES if config.optimizer == "adam" else SGD_STATES
    images = min(config.micro_batch or config.batch_size, config.batch_size) + policy.method.additional_images
    return BYTES * (weights + (1 + states) * trainable) + image_bytes * images

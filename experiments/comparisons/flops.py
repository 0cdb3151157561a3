"""Floating-point operations of a run, counted on passes of its own policy."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from math import ceil

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from agents.algorithms.saved_memory import logits_by_parts
from agents.methods import Batch, TaskInfo
from agents.networks.feature_cache import FeatureCache
from agents.networks.feature_memory import FeatureMemory
from agents.networks.preprocessing import View
from agents.policy import ViTPolicy
from experiments.config.resolved import ResolvedRun
from experiments.runs.label_fit import MOST_IMAGES
from experiments.runs.plan import ImageCosts, PlannedTask

IMAGES = 2
"""Images of a counted pass; batch norm needs more than one."""


def counted(work: Callable[[], object]) -> float:
    """The operations of some work, attention included."""
    with ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))  # fused attention on the CPU is not counted
        counter = stack.enter_context(FlopCounterMode(display=False))
        work()
    return float(counter.get_total_flops())


def black_batch(policy: ViTPolicy, side: int, count: int = IMAGES) -> Batch:
    """A batch of black images of one class, of shape (count, side, side, 3)."""
    images = torch.zeros(count, side, side, 3, dtype=torch.uint8)
    rewards = torch.zeros(count, policy.network.head.num_actions)
    rewards[:, policy.network.head.actions[-1:]] = 1.0
    mask = torch.ones_like(rewards)
    return Batch(images, rewards, mask, np.arange(count), policy.network.preprocessing)


def costs_of_tasks(
    policy: ViTPolicy, side: int, actions: Sequence[Sequence[int]], cache: bool, view: View | None, by_parts: bool
) -> list[ImageCosts]:
    """Begin some tasks, one after the other, and count each.

    Args:
        policy: A policy that has begun none.
        side: Of the images, in pixels.
        actions: Classes of each task.
        cache: Whether features of a frozen backbone are cached.
        view: The view of images in training; None for that of the test.
        by_parts: Whether activations are computed again in the backward pass, see `logits_by_parts`.
    """
    costs: list[ImageCosts] = []
    tests: list[tuple[float, float]] = []
    for index, classes in enumerate(actions):
        if index < len(actions) - 1:  # a step costs what it costs in the last of them
            policy.begin_task(classes, freeze_peft=False, task=_task(policy, side, index, classes, len(actions)))
            tests.append(_two_tests(policy, side))
        else:
            costs.append(_costs_of_task(policy, side, index, classes, len(actions), cache, view, by_parts))
    return [*(replace(costs[0], test=first, test_again=again, freezes=False) for first, again in tests), *costs]


def _task(policy: ViTPolicy, side: int, index: int, classes: Sequence[int], num_tasks: int) -> TaskInfo:
    return TaskInfo(index, classes, num_tasks, images=lambda: iter([black_batch(policy, side)]))


def _costs_of_task(
    policy: ViTPolicy,
    side: int,
    index: int,
    classes: Sequence[int],
    num_tasks: int,
    cache: bool,
    view: View | None,
    by_parts: bool,
) -> ImageCosts:
    def look(count: int) -> float:
        tried = copy.deepcopy(policy)
        task = TaskInfo(index, classes, num_tasks, images=lambda: iter([black_batch(tried, side, count)]))

        def begin_and_end() -> None:
            tried.begin_task(classes, freeze_peft=False, task=task)
            tried.method.end_task(tried.network, task)

        return counted(begin_and_end)

    looked = (look(2 * IMAGES) - look(IMAGES)) / IMAGES if policy.method.needs_task_data else 0.0
    task = _task(policy, side, index, classes, num_tasks)
    policy.begin_task(classes, freeze_peft=index > 0, task=task)
    tests = _two_tests(policy, side)
    if not policy.method.learns_by_gradient:
        return ImageCosts(looked, 0.0, 0.0, 0.0, 0.0, *tests, False)
    freezes, frozen = policy.network.peft_frozen, _two_steps(policy, side, cache, view, by_parts)
    policy.unfreeze_peft()
    return ImageCosts(looked, *frozen, *_two_steps(policy, side, cache, view, by_parts), *tests, freezes)


def _two_steps(policy: ViTPolicy, side: int, cache: bool, view: View | None, by_parts: bool) -> tuple[float, float]:
    """Operations for an image in a first step, and in a second one on the same images."""
    part, count = (IMAGES, 2 * IMAGES) if by_parts else (None, IMAGES)
    step = partial(train, policy, side, FeatureCache() if cache else None, view, count, part)
    first = counted(step) / count
    return first, counted(step) / count if cache else first


def _two_tests(policy: ViTPolicy, side: int) -> tuple[float, float]:
    """Operations for an image in a first test, and in a second one."""
    test = partial(_test, policy, side, FeatureMemory())
    return counted(test) / IMAGES, counted(test) / IMAGES


@torch.no_grad()
def _test(policy: ViTPolicy, side: int, memory: FeatureMemory) -> None:
    policy.set_training_mode(False)
    images = black_batch(policy, side).images
    policy.remembered_scores(lambda: images, np.arange(IMAGES), memory)


def train(
    policy: ViTPolicy,
    side: int,
    cache: FeatureCache | None = None,
    view: View | None = None,
    count: int = IMAGES,
    part: int | None = None,
) -> None:
    """Forward and backward pass of a step on black images, without images that a method adds.

    Args:
        policy: The policy.
        side: Of the images, in pixels.
        cache: Of features of the frozen backbone.
        view: The view of images in training; None for that of the test.
        count: Number of images.
        part: The most images whose activations are in memory at once.
    """
    policy.set_training_mode(True)
    method, network = policy.method, policy.network
    preprocess = partial(network.preprocessing, view=view)
    batch = replace(black_batch(policy, side, count), cache=cache, preprocess=preprocess)
    loss = logits_by_parts(method, network, batch, part)[:, network.head.actions].sum()
    if not method.additional_images:
        further = method.additional_loss(network, [batch], lambda logits, rewards: logits.sum())
        loss = loss if further is None else loss + further
    loss.backward()


def training_flops(run: ResolvedRun, tasks: Sequence[PlannedTask], costs: Sequence[ImageCosts]) -> float:
    """Operations, or seconds, of training.

    Args:
        run: Its freeze fraction is used.
        tasks: All tasks.
        costs: Of the first tasks; those of the last one hold for all further tasks.
    """
    total = 0.0
    for index, task in enumerate(tasks):
        cost = costs[min(index, len(costs) - 1)]
        learned = task.learned_images if run.method.learns_by_gradient else 0
        batch = run.config.batch_size
        frozen = ceil(run.config.freeze_fraction * learned / batch) * batch if cost.freezes else 0
        different = sum(tasks[each].train_images for each in run.method.training_tasks(index))
        total += task.train_images * cost.look
        total += _repeated(frozen, different, cost.frozen, cost.frozen_again)
        total += _repeated(learned - frozen, different, cost.step, cost.step_again)
        steps, frozen_steps = ceil(learned / batch), frozen // batch
        replaying = steps - (index == 0)  # in the very first step there is nothing to replay
        total += run.method.additional_images * (frozen_steps * cost.frozen + (replaying - frozen_steps) * cost.step)
    return total


def _repeated(images: int, different: int, first: float, again: float) -> float:
    """Operations for some images, of which so many are different."""
    once = min(images, different)
    return once * first + (images - once) * again


def evaluation_flops(run: ResolvedRun, tasks: Sequence[PlannedTask], costs: Sequence[ImageCosts]) -> float:
    """Operations, or seconds, of tests, of looks at held-out images, and of the passes that measures need.

    Arguments as above.
    """
    total, earlier = 0.0, 0
    for index, task in enumerate(tasks):
        cost = costs[min(index, len(costs) - 1)]
        first, again = task.test_images, earlier
        if "test_before_tasks" in run.extra_passes:
            again += task.test_images
        if "label_fit" in run.extra_passes:
            first += min(task.train_images, MOST_IMAGES)
        if run.config.early_stopping:
            held_out = sum(tasks[each].validation_images for each in run.method.training_tasks(index))
            first += held_out
            again += (run.config.epochs - 1) * held_out
        total += first * cost.test + again * cost.test_again
        earlier += task.test_images
    return total + sum(task.validation_images for task in tasks) * costs[-1].test

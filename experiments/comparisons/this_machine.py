"""Measure the time and the memory of a run on this machine, on a few of its steps."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from cls_env import ImageDataset, TaskStream
from experiments.comparisons.flops import evaluation_flops, training_flops
from experiments.config.resolved import ResolvedRun, make_agent
from experiments.runs.peak_memory import peak_bytes, reset_peak
from experiments.runs.plan import ImageCosts, Measured, Plan
from experiments.runs.runner import TEST_BATCH, tester

FLOPS_OF_A_STEP = {"cpu": 5e10, "cuda": 5e13}
"""Approximate number of operations of a measured step: one or two seconds of work."""
QUICK = 0.1
"""Steps with less than this share of them are repeated more often."""
NUM_TASKS, NUM_CLASSES = 2, 4
"""Tasks and classes of the measured stream. From the second task on, the PEFT module is frozen at first."""


class _StepTimes(BaseCallback):
    """Records when each step of the environment ends."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []

    def _on_step(self) -> bool:
        if self.model.device.type == "cuda":
            torch.cuda.synchronize()
        self.moments.append(time.perf_counter())
        return True


def measure(run: ResolvedRun, plan: Plan) -> Measured:
    """Take some steps and a test of a run with its own parts, on random images.

    Args:
        run: The run; its images need not be here, and its weights are random.
        plan: Its plan, whose operations tell how the costs of steps and tests relate.
    """
    device = torch.device(run.config.device if run.config.device != "auto" else _default_device())
    budget, cost = FLOPS_OF_A_STEP[device.type], plan.costs[-1]
    images = int(np.clip(budget / max(cost.step, cost.test), 2, run.config.batch_size))
    tests = int(np.clip(budget / cost.test, 2, TEST_BATCH))
    steps = 16 if images * max(cost.step, cost.test) < QUICK * budget else 4
    threads = torch.get_num_threads()
    torch.set_num_threads(run.config.threads)
    reset_peak(device)
    try:
        seconds = _seconds_of_an_image(_measured_run(run, images, tests), cost, steps)
    finally:
        torch.set_num_threads(threads)
    costs = [replace(seconds, freezes=each.freezes) for each in plan.costs]
    total = training_flops(run, plan.tasks, costs) + evaluation_flops(run, plan.tasks, costs)
    return Measured(total, _peak(run, plan, device, images, tests), images, steps)


def _default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _measured_run(run: ResolvedRun, images: int, tests: int) -> ResolvedRun:
    """The run on two tasks of random images, each of one batch, with random weights."""
    side = run.stream.dataset.train_images.shape[1]
    random = np.random.default_rng(0)
    shown = [random.integers(256, size=(NUM_TASKS * count, side, side, 3), dtype=np.uint8) for count in (images, tests)]
    labels = [np.arange(len(pixels)) % NUM_CLASSES for pixels in shown]
    names = tuple(f"class {label}" for label in range(NUM_CLASSES))
    stream = TaskStream(ImageDataset("random", shown[0], labels[0], shown[1], labels[1], names), NUM_TASKS, seed=0)
    config = replace(
        run.config,
        pretrained=False,
        weights=None,
        batch_size=images,
        compile=False,
        rate_milestones=(),
        freeze_fraction=0.5 if run.config.freeze_fraction else 0.0,
    )
    return replace(run, config=config, stream=stream)


def _seconds_of_an_image(run: ResolvedRun, cost: ImageCosts, steps: int) -> ImageCosts:
    """Seconds for an image, where `cost` has operations; what is not measured has those of its operations."""
    agent = make_agent(run)
    agent.set_logger(Logger(None, []))
    env, images = agent.get_env(), run.config.batch_size
    assert env is not None
    test = tester(agent.policy, run.stream, "test")
    times = _StepTimes()
    for task in range(NUM_TASKS):
        env.set_options({"task": task})
        begun, times.moments = time.perf_counter(), []
        agent.learn(images * (steps if task else 1), callback=times, log_interval=10**9)
        learned = time.perf_counter() - begun
        begun = time.perf_counter()
        tested = test([task])[0]
        of_test = (time.perf_counter() - begun) / len(tested.labels)
    again = of_test * cost.test_again / cost.test
    if not agent.policy.method.learns_by_gradient:
        return ImageCosts(learned / images, 0.0, 0.0, 0.0, 0.0, of_test, again, False)
    between = np.diff(times.moments) / (images + agent.policy.method.additional_images)
    half = steps // 2
    step, frozen = median(between[half:].tolist()), median(between[: half - 1].tolist())
    of_flop = step / cost.step
    first = frozen + of_flop * (cost.frozen - cost.frozen_again)
    return ImageCosts(cost.look * of_flop, first, frozen, step, cost.step_again * of_flop, of_test, again, cost.freezes)


def _peak(run: ResolvedRun, plan: Plan, device: torch.device, images: int, tests: int) -> int | None:
    """Peak bytes of the process: those of the measured steps, and more for full batches."""
    measured = peak_bytes(torch.device("cpu"))
    if measured is None or device.type == "cuda":
        return measured
    blocks = max(1, len(run.config.blocks))  # a test keeps the activations of one block at a time
    batch = min(run.config.micro_batch or run.config.batch_size, run.config.batch_size)
    more = plan.image_memory * max(0, batch - images)
    more_tests = plan.image_memory // blocks * max(0, TEST_BATCH - tests)
    return measured + max(more, more_tests)

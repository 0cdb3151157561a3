"""Speed of the head-only step, the whole step and the test, on each path."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache, partial

import gymnasium as gym
import torch
from torch.utils.flop_counter import FlopCounterMode

from agents import EPG
from agents.evaluation import evaluate_tasks
from cls_env import TaskStream
from experiments.benchmarks.gpu.facts import matrix_rate, synchronize
from experiments.benchmarks.gpu.random_agent import few_images, random_agent
from experiments.benchmarks.gpu.report import Check, Row
from experiments.benchmarks.gpu.settings import GpuSettings
from experiments.benchmarks.gpu.step_clock import IdleClock, StepClock

PROFILED = 5
KINDS = {"head-only step": True, "whole step": False}
"""Whether the PEFT module is frozen."""


def checks(settings: GpuSettings) -> dict[str, Check]:
    """Milliseconds, images a second, share of the matrix rate, idle share, peak memory; seconds of compiling."""
    found: dict[str, Check] = {path: partial(_path, settings, path) for path in settings.paths}
    if "compiled" in settings.paths:
        found["compiled again"] = partial(_compiled_again, settings)
    return found


def timed_steps(agent: EPG, frozen: bool, clock: StepClock) -> StepClock:
    """Let an agent learn until the clock has what it needs, the PEFT module frozen or not."""
    agent.learn(agent.batch_size)
    agent.policy.begin_task(agent.policy.network.head.actions.tolist(), freeze_peft=frozen)
    agent.freeze_fraction = 1.0 if frozen else 0.0
    agent.learn(clock.needed * agent.batch_size, clock, log_interval=1)
    return clock


def _path(settings: GpuSettings, path: str) -> Iterator[Row]:
    agent = random_agent(settings, path)
    for kind, frozen in KINDS.items():
        clock = timed_steps(agent, frozen, StepClock(settings.steps, agent.device))
        yield Row(f"{kind}, {path}: before the timed steps", clock.before, "s")
        flops = flops_per_image(settings, "forward" if frozen else "whole")
        yield from _speed(settings, f"{kind}, {path}", clock.seconds, settings.batch_size, flops)
        if clock.peak is not None:
            yield Row(f"{kind}, {path}: peak memory", clock.peak / 2**30, "GiB")
    yield from _test(settings, path, agent)
    if agent.device.type == "cuda":  # last, since profilers fail on some machines
        for kind, frozen in KINDS.items():
            profiled = IdleClock(PROFILED, agent.device)
            timed_steps(agent, frozen, profiled)
            yield Row(f"{kind}, {path}: idle share", profiled.idle)


def _test(settings: GpuSettings, path: str, agent: EPG) -> Iterator[Row]:
    stream = TaskStream(few_images(settings), 1)
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=settings.batch_size, dataset=stream, split="test")
    count = len(stream.tasks[0].test_indices)
    evaluate_tasks(agent.policy, env, [0])
    synchronize(agent.device)
    started = time.perf_counter()
    evaluate_tasks(agent.policy, env, [0])
    seconds = time.perf_counter() - started
    yield from _speed(settings, f"test of {count} images, {path}", seconds, count, flops_per_image(settings, "forward"))


def _speed(settings: GpuSettings, name: str, seconds: float, images: int, flops: float) -> Iterator[Row]:
    yield Row(f"{name}: time", seconds * 1e3, "ms")
    yield Row(f"{name}: speed", images / seconds, "images/s")
    share = flops * images / seconds / matrix_rate(settings.device, settings.matrix_size)
    yield Row(f"{name}: share of the matrix rate", share)


def _compiled_again(settings: GpuSettings) -> Iterator[Row]:
    """A new agent, as in another process: what was compiled is on the disk."""
    torch.compiler.reset()
    agent = random_agent(settings, "compiled")
    clock = timed_steps(agent, False, StepClock(1, agent.device))
    yield Row("whole step, compiled again: before the timed steps", clock.before, "s")


@cache
def flops_per_image(settings: GpuSettings, passes: str) -> float:
    """Floating-point operations for an image, as PyTorch counts them: of the forward pass, or of the whole step."""
    agent = random_agent(settings, "host")
    agent.learn(agent.batch_size)
    images = torch.tensor(few_images(settings).train_images[:2]).to(agent.device)
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(passes == "whole"):
        scores = agent.policy(images)[:, agent.policy.network.head.actions].sum()
        if passes == "whole":
            scores.backward()
    return counter.get_total_flops() / len(images)

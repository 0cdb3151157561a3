"""Cost of each continual-learning method compared with sequential fine-tuning, after few and after many tasks."""

from __future__ import annotations

from unittest.mock import patch

import gymnasium as gym
import torch

from agents import EPG
from agents.methods import METHODS, NO_OBJECTIVE, Method
from cls_env import TaskStream
from experiments.benchmarks.measuring import Measurement, Side, compare_rates
from experiments.runs.finished_run import state_bytes
from experiments.studies.methods import module_of

TASKS = (5, 20, 50)
BATCH = 32
BATCHES = 6
TEST_IMAGES = 256
CLASSES_PER_TASK = 2
IMAGES_PER_CLASS = 16


def benchmark_methods(repeats: int) -> list[Measurement]:
    """Measure speed of learning and testing against sequential fine-tuning, trainable parameters, and state.

    The stream has as many tasks as the longest row says, of two glyph classes, each learned in a single step; then the
    last task goes on, with the whole PEFT module unfrozen. On one CPU thread.
    """
    torch.set_num_threads(1)
    classes = CLASSES_PER_TASK * max(TASKS)
    options = {"num_classes": classes, "train_per_class": IMAGES_PER_CLASS, "test_per_class": 4, "margin": 0}
    stream = TaskStream("glyphs", max(TASKS), dataset_options=options)
    sequential, rows = _agent(stream, "sequential"), []
    others = {name: _agent(stream, name) for name in METHODS if name != "sequential"}
    for learned, count in zip((0, *TASKS), TASKS, strict=False):
        _learn(sequential, learned, count)
        rows += _counts(sequential, "sequential", count)
        for name, agent in others.items():
            _learn(agent, learned, count)
            if agent.policy.method.learns_by_gradient:
                row = f"learning, {name} / sequential, {count} tasks"
                rows.append(compare_rates(row, _learning(agent), _learning(sequential), "images/s", repeats))
            row = f"test, {name} / sequential, {count} tasks"
            rows.append(compare_rates(row, _testing(agent), _testing(sequential), "images/s", repeats))
            rows += _counts(agent, name, count)
    return rows


def _agent(stream: TaskStream, method: str) -> EPG:
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=BATCH, dataset=stream)
    objective = "ce" if METHODS[method].learns_by_gradient else NO_OBJECTIVE
    kwargs = {"method": method, "peft": module_of(method, "lora")}
    return EPG(
        "ViTPolicy", env, objective, batch_size=BATCH, freeze_fraction=0.0, seed=0, device="cpu", policy_kwargs=kwargs
    )


def _learn(agent: EPG, first: int, last: int) -> None:
    """The tasks from one to another, in a step each."""
    env = agent.get_env()
    assert env is not None
    for task in range(first, last):
        env.set_options({"task": agent.policy.method.training_tasks(task)})
        agent.learn(BATCH)


def _learning(agent: EPG) -> Side:
    """Gradient steps of the current task, without the work at its end."""

    def side() -> int:
        with patch.object(type(agent.policy.method), "end_task", Method.end_task):
            agent.learn(BATCHES * BATCH)
        return BATCHES * BATCH

    return side


def _testing(agent: EPG) -> Side:
    images = torch.from_numpy(agent.observation_space.sample()).expand(TEST_IMAGES, -1, -1, -1)

    def side() -> int:
        agent.policy.set_training_mode(False)
        with torch.no_grad():
            agent.policy(images)
        return len(images)

    return side


def _counts(agent: EPG, name: str, tasks: int) -> list[Measurement]:
    policy = agent.policy
    learning = sum(tensor.numel() for tensor in policy.trainable_parameters) if policy.method.learns_by_gradient else 0
    kept = state_bytes(policy) / 1000
    return [
        Measurement(
            f"learns by gradients, {name}, {tasks} tasks", None, learning, None, "parameters", 1, (learning, learning)
        ),
        Measurement(f"kept from task to task, {name}, {tasks} tasks", None, kept, None, "kB", 1, (kept, kept)),
    ]

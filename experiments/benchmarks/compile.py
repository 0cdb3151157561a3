"""Images a second of EPG with compiled blocks against the same agent without."""

from __future__ import annotations

import gymnasium as gym
import torch

from agents import EPG
from cls_env import TaskStream
from experiments.benchmarks.measuring import Measurement, Side, compare_rates
from experiments.benchmarks.sides import learning

BATCHES = 20


def benchmark_compile(repeats: int) -> list[Measurement]:
    """Cross-entropy on the first task, all of the module unfrozen, on one CPU thread; compiling is not timed."""
    torch.set_num_threads(1)
    stream = TaskStream("glyphs", dataset_options={"margin": 0})
    rows = []
    for size in (32, 128):
        compiled, eager = (_learner(stream, size, compiles) for compiles in (True, False))
        name = f"compiled blocks / eager, micro ViT, batch {size}"
        rows.append(compare_rates(name, compiled, eager, "images/s", repeats))
    return rows


def _learner(stream: TaskStream, batch_size: int, compiles: bool) -> Side:
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=batch_size, dataset=stream)
    agent = EPG("ViTPolicy", env, objective="ce", batch_size=batch_size, seed=0, device="cpu", compile=compiles)
    return learning(agent, BATCHES)

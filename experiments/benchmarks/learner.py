"""Images a second of EPG.learn against a bare PyTorch loop over the same model, images and batch."""

from __future__ import annotations

import copy

import gymnasium as gym
import torch

from agents import EPG, ViTPolicy
from cls_env import TaskStream
from experiments.benchmarks.measuring import Measurement, Side, compare_rates
from experiments.benchmarks.sides import learning

BATCHES = 8


def benchmark_learner(repeats: int) -> list[Measurement]:
    """Cross-entropy on the first task's classes, all tensors unfrozen, on one CPU thread: forward, backward and Adam.

    The bare loop gathers its batches from the same arrays; it has no environment, no sampled action, no log. The last
    row compares two objectives.
    """
    torch.set_num_threads(1)
    stream = TaskStream("glyphs", dataset_options={"margin": 0})
    rows = []
    for size in (32, 128):
        learner = _agent(stream, "ce", size)
        bare = _bare_loop(copy.deepcopy(learner.policy), stream, size)
        name = f"learner / bare PyTorch loop, batch {size}"
        rows.append(compare_rates(name, learning(learner, BATCHES), bare, "images/s", repeats))
    aepg, ce = (learning(_agent(stream, objective, 32), BATCHES) for objective in ("aepg", "ce"))
    return [*rows, compare_rates("learner with aepg / with ce, batch 32", aepg, ce, "images/s", repeats)]


def _agent(stream: TaskStream, objective: str, batch_size: int) -> EPG:
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=batch_size, dataset=stream)
    agent = EPG("ViTPolicy", env, objective=objective, batch_size=batch_size, seed=0, device="cpu")
    return agent.learn(batch_size)


def _bare_loop(policy: ViTPolicy, stream: TaskStream, batch_size: int) -> Side:
    task = stream.tasks[0]
    images = torch.from_numpy(stream.dataset.train_images[task.train_indices])
    labels = torch.from_numpy(stream.train_labels[task.train_indices])
    model = torch.nn.Sequential(policy.network.preprocessing, policy.network.backbone)
    head = torch.nn.Linear(policy.network.head.weight.shape[1], len(task.classes))
    optimizer = torch.optim.Adam([*policy.network.peft_parameters, *head.parameters()], lr=5e-4)

    def side() -> int:
        for _ in range(BATCHES):
            rows = torch.randint(len(images), (batch_size,))
            loss = torch.nn.functional.cross_entropy(head(model(images[rows])), labels[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return BATCHES * batch_size

    return side

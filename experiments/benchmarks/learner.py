"""Images a second of EPG.learn against a bare PyTorch loop over the same model, images and batch."""

from __future__ import annotations

import copy

import gymnasium as gym
import torch

from agents import EPG, ViTPolicy
from cls_env import TaskStream
from experiments.benchmarks.measuring import Measurement, Side, compare_rates

BATCHES = 40


def benchmark_learner(repeats: int) -> list[Measurement]:
    """Cross-entropy on the first task's classes, all tensors unfrozen, on one CPU thread: forward, backward and Adam.

    The bare loop gathers its batches from the same arrays; it has no environment, no sampled action, no log.
    """
    torch.set_num_threads(1)
    stream = TaskStream("glyphs")
    return [_ratio(stream, batch_size, repeats) for batch_size in (32, 128)]


def _ratio(stream: TaskStream, batch_size: int, repeats: int) -> Measurement:
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=batch_size, dataset=stream)
    agent = EPG("ViTPolicy", env, objective="ce", batch_size=batch_size, seed=0, device="cpu")
    agent.learn(batch_size)
    bare = copy.deepcopy(agent.policy)

    def learner() -> int:
        agent.learn(BATCHES * batch_size)
        return BATCHES * batch_size

    return compare_rates(
        f"learner / bare PyTorch loop, batch {batch_size}",
        learner,
        _bare_loop(bare, stream, batch_size),
        "images/s",
        repeats,
    )


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

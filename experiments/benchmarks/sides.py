"""Work of agents that benchmarks time."""

from __future__ import annotations

import gymnasium as gym

from agents import EPG
from agents.evaluation import evaluate_tasks
from cls_env import TaskStream
from experiments.benchmarks.measuring import Side


def learning(agent: EPG, steps: int) -> Side:
    """Gradient steps of the current task; returns the number of images."""
    images = steps * agent.batch_size

    def side() -> int:
        agent.learn(images)
        return images

    return side


def testing(agent: EPG, stream: TaskStream, num_envs: int) -> Side:
    """A test on the last task of a stream; returns the number of images."""
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=num_envs, dataset=stream, split="test")
    last = len(stream.tasks) - 1

    def side() -> int:
        (test,) = evaluate_tasks(agent.policy, env, [last])
        return len(test.labels)

    return side

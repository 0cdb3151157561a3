"""Evaluation on images that are kept on the device: the predictions of those in main memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import gymnasium as gym
import numpy as np
import pytest
import torch

import agents.evaluation
from agents.envs.episode_protocol import episode_env
from agents.envs.evaluation_images import HostImages, ImagesOnDevice, evaluation_images
from agents.evaluation import TaskEvaluation, evaluate_tasks
from tests.agents.policies import TINY, make_policy

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]


def test_predictions_and_counts_are_equal(make_vec: MakeVec, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make_policy(**TINY)
    policy.begin_task([0, 1, 2, 3], freeze_peft=False)
    evaluations, envs = [], []
    for on_device in (False, True):
        env = make_vec(7, split="test")  # does not divide the images of a task
        native = episode_env(env)
        images = ImagesOnDevice(native, torch.device("cpu"), [0, 1]) if on_device else HostImages(env)
        monkeypatch.setattr(agents.evaluation, "evaluation_images", lambda *_, images=images: images)
        evaluations.append(evaluate_tasks(policy, env, [0, 1]))
        envs.append(env)
    for host, device in zip(*evaluations, strict=True):
        for field in fields(TaskEvaluation):
            assert np.array_equal(getattr(host, field.name), getattr(device, field.name)), field.name
    assert envs[0].num_episodes == envs[1].num_episodes
    assert envs[0].total_regret == envs[1].total_regret


def test_a_cpu_reads_images_from_main_memory(make_vec: MakeVec) -> None:
    assert isinstance(evaluation_images(make_vec(4, split="test"), torch.device("cpu"), [0]), HostImages)

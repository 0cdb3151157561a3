"""A configuration resolved: its stream, the arguments of policy and learner, and the agent made of them."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import gymnasium as gym
import torch

from agents import EPG
from cls_env import ImageDataset, TaskStream
from cls_env.datasets.paths import cache_root
from experiments.config.builders import images_per_task, make_stream
from experiments.config.settings import PolicySettings, RunConfig
from experiments.config.validation import CheckedRun, check

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


@dataclass(frozen=True, eq=False)
class ResolvedRun(CheckedRun):
    """A checked configuration with its stream, made by `resolve`.

    Attributes:
        stream: The tasks and their images.
        images_per_task: Images on which each task is trained, all epochs together.
    """

    stream: TaskStream
    images_per_task: tuple[int, ...]

    @property
    def policy(self) -> dict[str, Any]:
        """The entries of `PolicyConfig` that the configuration sets."""
        view = {
            "input_size": self.view.size,
            "crop_fraction": self.view.crop_fraction,
            "interpolation": self.view.interpolation,
        }
        return {field.name: getattr(self.config, field.name) for field in fields(PolicySettings)} | view

    @property
    def optimizer(self) -> dict[str, Any]:
        """The policy's arguments `optimizer_class` and `optimizer_kwargs`."""
        config = self.config
        own = {"momentum": config.momentum} if config.optimizer == "sgd" else {"betas": config.adam_betas}
        return {
            "optimizer_class": OPTIMIZERS[config.optimizer],
            "optimizer_kwargs": {"weight_decay": config.weight_decay, **own},
        }

    @property
    def learner(self) -> dict[str, Any]:
        """The arguments of `EPG`, except the policy and the environment."""
        config = self.config
        return {
            "objective": config.objective,
            "anneal": config.anneal,
            "learning_rate": learning_rate(config),
            "batch_size": config.batch_size,
            "freeze_fraction": config.freeze_fraction,
            "crop_scale": config.crop_scale if self.augments else None,
            "cache_features": config.cache_features and not self.augments,
            "precision": config.precision,
            "compile": config.compile,
            "device_images": config.device_images,
            "micro_batch": config.micro_batch,
            "on_divergence": config.on_divergence,
            "seed": config.seeds.agent,
            "device": config.device,
        }


def resolve(run: RunConfig | CheckedRun, dataset: ImageDataset | None = None) -> ResolvedRun:
    """Resolve a configuration. Decodes the images if that was not done before.

    Args:
        run: The configuration, checked or not.
        dataset: Images to use instead of those that the configuration names.

    Raises:
        ValueError: The configuration is impossible.
        FileNotFoundError: The images are not there.
    """
    checked = run if isinstance(run, CheckedRun) else check(run)
    stream = make_stream(checked, dataset)
    if checked.config.early_stopping and not stream.has_validation:
        raise ValueError(
            "--early-stopping judges passes on held-out images: give --validation-fraction too, such as 0.2"
        )
    return ResolvedRun(**vars(checked), stream=stream, images_per_task=images_per_task(checked, stream))


def make_agent(run: ResolvedRun) -> EPG:
    """An untrained agent on the stream's training images."""
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=run.config.batch_size, dataset=run.stream)
    if run.config.compile:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_root() / "compiled"))
    made = {"made_method": copy.deepcopy(run.method)}
    return EPG("ViTPolicy", env, **run.learner, policy_kwargs=run.policy | run.optimizer | made)


def learning_rate(config: RunConfig) -> float | Callable[[float], float]:
    """The rate, or a function of the remaining progress that divides the rate by ten at each milestone."""
    if not config.rate_milestones:
        return config.learning_rate
    return lambda remaining: config.learning_rate * 0.1 ** sum(1 - remaining >= at for at in config.rate_milestones)

"""From a configuration to what it names: images, stream, policy, agent."""

from __future__ import annotations

import json
from inspect import signature
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from agents import EPG, OBJECTIVES
from agents.backbone import native_input_size
from agents.policy import PEFT_MODULES, PolicyConfig
from cls_env import DATASETS, TaskStream
from cls_env.datasets import DatasetCard
from cls_env.naming import lookup
from experiments.config import RunConfig, Settings

STORED_OVER_SEEN = 8 / 7
"""Random crops are taken from images somewhat larger than what the model sees: 256 for 224 pixels."""

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def check(config: RunConfig) -> None:
    """Refuse what is unknown or impossible, before any long work.

    Raises:
        ValueError: Names the entry, and for a name the nearest known one.
    """
    lookup("dataset", config.dataset, DATASETS)
    lookup("objective", config.objective, OBJECTIVES)
    lookup("PEFT module", config.peft, PEFT_MODULES)
    native_input_size(config.model)
    for name in ("epochs", "batch_size", "threads", "learning_rate", "input_size"):
        value = getattr(config, name)
        if value is not None and value <= 0:
            raise ValueError(f"{name} must be positive, not {value}")
    if not 0 <= config.freeze_fraction <= 1:
        raise ValueError(f"freeze_fraction is a share of the steps in [0, 1], not {config.freeze_fraction}")
    if any(not 0 < share < 1 for share in config.rate_milestones):
        raise ValueError(f"rate_milestones are shares of a task in (0, 1), not {config.rate_milestones}")
    if config.scenario == "online" and config.epochs != 1:
        raise ValueError(f"--scenario online shows each image once: give --epochs 1, not {config.epochs}")
    if config.noise_matrix is not None and config.label_noise:
        raise ValueError("--noise-matrix says which labels are wrong: drop --label-noise")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here; use --device auto or cpu")


def make_stream(config: RunConfig) -> TaskStream:
    """The stream of a configuration; decodes the images if that was not done before.

    Raises:
        ValueError: The configuration is impossible.
        FileNotFoundError: The images are not there.
    """
    check(config)
    return TaskStream(
        config.dataset,
        list(config.num_tasks) if isinstance(config.num_tasks, tuple) else config.num_tasks,
        scenario=config.scenario,
        init_classes=config.init_classes,
        increment=config.increment,
        seed=config.seeds.stream,
        class_order=config.class_order,
        domains=config.domains or None,
        validation_fraction=config.validation_fraction,
        max_per_class=config.max_per_class,
        imbalance_factor=config.imbalance_factor,
        label_noise=config.label_noise if config.noise_matrix is None else _read_matrix(Path(config.noise_matrix)),
        noise_type=config.noise_type,
        dataset_options=_loader_options(config),
    )


def _loader_options(config: RunConfig) -> dict[str, Any]:
    card = DATASETS[config.dataset]
    options = dict(map(_parsed, config.options))
    if config.root is not None:
        options["root"] = config.root
    if config.image_size is not None:
        options["image_size"] = config.image_size
    elif "image_size" in signature(card.load_function()).parameters:
        options.setdefault("image_size", stored_size(config, card))
    if card.generated:
        options.setdefault("seed", config.seeds.images)
    return options


def _parsed(option: str) -> tuple[str, Any]:
    """A `name=value` of the command line; values are JSON where they can be read so, else words."""
    name, equals, value = option.partition("=")
    if not equals:
        raise ValueError(f"--options are of the form name=value, not {option!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _read_matrix(file: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        return np.loadtxt(file, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise ValueError(f"--noise-matrix {file} can't be read as K lines of K numbers with commas: {error}") from error


def input_size(config: Settings) -> int:
    """Side of what the model sees: as configured, or as its weights were made for."""
    return config.input_size or native_input_size(config.model)


def stored_size(config: Settings, card: DatasetCard) -> int:
    """Side at which images are kept: room for crops where the set is augmented, and no more than was published."""
    if config.image_size is not None:
        return config.image_size
    if not card.augment:
        return input_size(config)
    wanted = round(input_size(config) * STORED_OVER_SEEN)
    return wanted if card.image_size is None else min(wanted, card.image_size)


def augments(config: Settings) -> bool:
    """Whether a run learns from random crops: as configured, or as the image set's card says."""
    return DATASETS[config.dataset].augment if config.augment is None else config.augment


def policy_entries(config: Settings) -> dict[str, Any]:
    """The entries of `PolicyConfig` that a configuration sets."""
    entries = {name: getattr(config, name) for name in PolicyConfig.__dataclass_fields__ if hasattr(config, name)}
    return entries | {"input_size": input_size(config)}


def make_agent(config: RunConfig, stream: TaskStream) -> EPG:
    """An untrained agent on the stream's training images."""
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=config.batch_size, dataset=stream)
    optimizer_kwargs: dict[str, Any] = {"weight_decay": config.weight_decay}
    if config.optimizer == "sgd":
        optimizer_kwargs["momentum"] = config.momentum
    return EPG(
        "ViTPolicy",
        env,
        objective=config.objective,
        learning_rate=learning_rate(config),
        batch_size=config.batch_size,
        freeze_fraction=config.freeze_fraction,
        crop_scale=config.crop_scale if augments(config) else None,
        cache_features=config.cache_features and not augments(config),
        precision=config.precision,
        policy_kwargs={
            **policy_entries(config),
            "optimizer_class": OPTIMIZERS[config.optimizer],
            "optimizer_kwargs": optimizer_kwargs,
        },
        seed=config.seeds.agent,
        device=config.device,
    )


def learning_rate(config: Settings) -> Any:
    """The rate, or the function of the remaining progress that divides it by ten at each milestone."""
    if not config.rate_milestones:
        return config.learning_rate
    return lambda remaining: config.learning_rate * 0.1 ** sum(1 - remaining >= at for at in config.rate_milestones)


def task_images(config: RunConfig, stream: TaskStream, task: int) -> int:
    """Images on which a task is trained: whole batches of all its epochs; online, as many as there are whole batches.

    Raises:
        ValueError: An online task has less than a batch.
    """
    images = config.epochs * len(stream.tasks[task].train_indices)
    if not stream.scenario.one_pass:
        return -(-images // config.batch_size) * config.batch_size
    if images < config.batch_size:
        raise ValueError(
            f"task {task} has {images} images, less than a batch of {config.batch_size}; online none repeats"
        )
    return images // config.batch_size * config.batch_size

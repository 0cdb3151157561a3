"""From a configuration to what it names: images, stream, policy, agent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from agents import EPG
from agents.methods import NO_OBJECTIVE, check_method, make_method
from agents.networks.config import PolicyConfig
from agents.networks.native_view import native_view
from agents.objectives import make_objective
from agents.peft_modules import check_peft_module
from cls_env import DATASETS, ImageDataset, TaskStream
from cls_env.arguments import number, range_of_areas
from cls_env.datasets import DatasetCard
from experiments.config.settings import PATHS, RunConfig, Settings, parse_option

RANGES = {
    "epochs": "[1, inf)",
    "batch_size": "[1, inf)",
    "threads": "[1, inf)",
    "input_size": "[1, inf)",
    "seed": "[0, inf)",
    "label_noise": "[0, 1)",
    "momentum": "[0, 1)",
    "weight_decay": "[0, inf)",
    "learning_rate": "(0, inf)",
    "crop_fraction": "(0, 1]",
    "freeze_fraction": "[0, 1]",
    "adam_betas": "[0, 1)",
    "rate_milestones": "(0, 1)",
}
"""The interval of each setting, and of each number of those that hold several."""

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def check(config: RunConfig) -> None:
    """Refuse what is unknown or impossible, before any long work.

    Raises:
        ValueError: Names the entry, and for a name the nearest known one.
    """
    import_modules(config.imports)
    DATASETS.lookup(config.dataset)
    if config.objective != NO_OBJECTIVE:
        make_objective(config.objective)
    check_peft_module(config.peft)
    _check_paths(config)
    method = check_method(config.method, config.peft, config.objective)
    native_view(config.model)
    _check_ranges(config)
    if config.scenario == "online" and config.epochs != 1:
        raise ValueError(f"--scenario online shows each image once: give --epochs 1, not {config.epochs}")
    if config.scenario == "online" and method.learns_by_gradient and method.needs_task_data:
        raise ValueError(f"--scenario online shows each image once, but {config.method} looks at a task's images again")
    if config.scenario == "online" and list(method.training_tasks(1)) != [1]:
        raise ValueError(f"--scenario online shows each image once, but {config.method} learns from old ones again")
    if config.noise_matrix is not None and config.label_noise:
        raise ValueError("--noise-matrix says which labels are wrong: drop --label-noise")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here; use --device auto or cpu")


def _check_paths(config: RunConfig) -> None:
    for name in PATHS:
        if str(place := getattr(config, name)).startswith("~"):
            raise ValueError(f"--{name.replace('_', '-')} {place}: there is no such home folder; give a whole path")
    if config.weights is not None and not config.pretrained:
        raise ValueError("--weights is a file to load, --no-pretrained asks for random weights: give one of them")
    if config.weights is not None and not Path(config.weights).is_file():
        raise ValueError(f"--weights {config.weights}: there is no such file")


def import_modules(names: Sequence[str]) -> None:
    """Import modules of the user's, which register what they add; in order, each once.

    Raises:
        ValueError: One is not there, or fails.
    """
    for name in names:
        try:
            import_module(name)
        except Exception as error:
            raise ValueError(f"--imports {name} can't be imported: {type(error).__name__}: {error}") from error


def _check_ranges(config: RunConfig) -> None:
    for name, interval in RANGES.items():
        value = getattr(config, name)
        if isinstance(value, tuple):
            for entry in value:
                number(f"each of {name}", entry, interval)
        elif value is not None:
            number(name, value, interval)
    range_of_areas("crop_scale", config.crop_scale)


def make_stream(config: RunConfig, dataset: ImageDataset | None = None) -> TaskStream:
    """The stream of a configuration; decodes the images if that was not done before.

    Args:
        config: The configuration.
        dataset: Images to take in place of those it names.

    Raises:
        ValueError: The configuration is impossible.
        FileNotFoundError: The images are not there.
    """
    check(config)
    stream = TaskStream(
        dataset or config.dataset,
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
        noisy_validation=True,
        dataset_options=loader_options(config) if dataset is None else None,
    )
    if config.early_stopping and not stream.has_validation:
        raise ValueError(
            "--early-stopping judges passes on held-out images: give --validation-fraction too, such as 0.2"
        )
    return stream


def loader_options(config: RunConfig) -> dict[str, Any]:
    """What the image set's loader is given."""
    card = DATASETS[config.dataset]
    options: dict[str, Any] = {}
    for name, value in map(parse_option, config.options):
        if name in options:
            raise ValueError(f"--options names {name} twice")
        options[name] = value
    for name in ("root", "image_size", "interpolation"):
        if getattr(config, name) is not None and name in options:
            raise ValueError(f"{name} is given twice: as --{name.replace('_', '-')} and among --options")
    options |= {name: value for name in ("root", "image_size") if (value := getattr(config, name)) is not None}
    taken = signature(card.load_function()).parameters
    if "image_size" not in options and "image_size" in taken:
        options["image_size"] = stored_size(config, card)
    if "interpolation" not in options and "interpolation" in taken:
        options["interpolation"] = interpolation(config)
    if card.generated:
        options.setdefault("seed", config.seeds.images)
    return options


def loader_arguments(config: RunConfig) -> dict[str, Any]:
    """All arguments of the image set's loader, its defaults too, as JSON knows them."""
    bound = signature(DATASETS[config.dataset].load_function()).bind(**loader_options(config))
    bound.apply_defaults()
    content: dict[str, Any] = json.loads(json.dumps(bound.arguments, default=str))
    return content


def _read_matrix(file: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        return np.loadtxt(file, delimiter=",", ndmin=2, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ValueError(f"--noise-matrix {file} can't be read as K lines of K numbers with commas: {error}") from error


def input_size(config: Settings) -> int:
    """Side of what the model sees: as configured, or as its weights were made for."""
    return config.input_size or native_view(config.model).size


def stored_size(config: Settings, card: DatasetCard) -> int:
    """Side at which images are kept: that of which the test view is the centre, of photographs as far as published."""
    if config.image_size is not None:
        return config.image_size
    wanted = int(input_size(config) / crop_fraction(config))
    if not card.augment:
        return wanted
    return wanted if card.image_size is None else min(wanted, card.image_size)


def augments(config: Settings) -> bool:
    """Whether a run learns from random crops: as configured, or as the image set's card says."""
    return DATASETS[config.dataset].augment if config.augment == "auto" else config.augment == "yes"


def crop_fraction(config: Settings) -> float:
    """Side of what is seen at test over that of the resized image: as configured, or as its weights were tested.

    A character's margin is not cut off.
    """
    if config.crop_fraction is not None:
        return config.crop_fraction
    return native_view(config.model).crop_fraction if DATASETS[config.dataset].augment else 1.0


def interpolation(config: Settings) -> str:
    """How images are resized for their store and for the test view: as configured, or as its weights were tested."""
    return config.interpolation or native_view(config.model).interpolation


def policy_entries(config: Settings) -> dict[str, Any]:
    """The entries of `PolicyConfig` that a configuration sets."""
    entries = {name: getattr(config, name) for name in PolicyConfig.__dataclass_fields__ if hasattr(config, name)}
    return entries | {
        "input_size": input_size(config),
        "crop_fraction": crop_fraction(config),
        "interpolation": interpolation(config),
    }


def make_agent(config: RunConfig, stream: TaskStream) -> EPG:
    """An untrained agent on the stream's training images."""
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=config.batch_size, dataset=stream)
    optimizer_kwargs: dict[str, Any] = {"weight_decay": config.weight_decay}
    optimizer_kwargs |= {"momentum": config.momentum} if config.optimizer == "sgd" else {"betas": config.adam_betas}
    return EPG(
        "ViTPolicy",
        env,
        objective=config.objective,
        anneal=config.anneal,
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

    A method may learn a task from those of others too; one without gradients looks once at each image, or at none.

    Raises:
        ValueError: An online task has less than a batch.
    """
    method = make_method(config.method)
    count = sum(len(stream.tasks[visited].train_indices) for visited in method.training_tasks(task))
    if not method.learns_by_gradient and not method.needs_task_data:
        return 0
    images = config.epochs * count
    if not method.learns_by_gradient and not stream.scenario.one_pass:
        return count
    if not stream.scenario.one_pass:
        return -(-images // config.batch_size) * config.batch_size
    if images < config.batch_size:
        raise ValueError(
            f"task {task} has {images} images, less than a batch of {config.batch_size}; online none repeats"
        )
    return images // config.batch_size * config.batch_size if method.learns_by_gradient else images

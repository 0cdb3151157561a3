"""Supervised pretraining of a ViT on photographs. A stopped run goes on with the epoch in which it stopped."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from timm.optim import create_optimizer_v2, list_optimizers
from timm.utils import ModelEmaV3
from torch import Tensor, nn

import agents.networks.embedded_vits  # noqa: F401  # registers models with timm
from agents.networks.precision import arithmetic
from agents.networks.views import TrainView
from cls_env import ImageDataset, load_dataset
from cls_env.arguments import one_of
from cls_env.datasets.files.trees import open_tree
from cls_env.datasets.loaders.archive_sets import load_tiny_imagenet
from experiments.config.pretraining import PLACES, PretrainConfig
from experiments.config.typed_options import option_words
from experiments.console import progress_bar, say
from experiments.pretraining.limits import check_limits
from experiments.pretraining.model_files import half_precision, refuse_other_weights, write_model
from experiments.pretraining.model_inputs import ModelInputs, accuracy
from experiments.pretraining.training_state import CHECKPOINT, TrainingState
from experiments.runs.ownership import owned

WARM_UP = 0.03
"""Share of the steps in which the learning rate rises."""


def check_pretraining(config: PretrainConfig) -> None:
    """Check a configuration before any work.

    Raises:
        ValueError: An entry is out of range; the message names it.
        FileNotFoundError: There is nothing at the path of the images.
    """
    if not config.images.exists():
        raise FileNotFoundError(f"--images {config.images} does not exist: give a folder, zip or tar of images")
    least = {"epochs": 1, "batch_size": 1, "seed": 0, "threads": 1, "weight_decay": 0.0}
    check_limits(config, least, ("learning_rate", "clip", "smallest_crop"))
    for name in ("label_smoothing", "small_epochs", "average_decay", "smallest_crop"):
        if not 0 <= getattr(config, name) <= 1:
            raise ValueError(f"{name} must be in [0, 1], not {getattr(config, name)}")
    name, _, tag = config.model.partition(".")
    one_of("model", name, timm.list_models())
    if tag:
        one_of("model", config.model, timm.list_pretrained(name))
    one_of("optimizer", config.optimizer, list_optimizers())


def pretrain(config: PretrainConfig) -> dict[str, Any]:
    """Train, test the half-precision average of the weights, and write weights and card.

    Args:
        config: What to train, on what, and how.

    Returns:
        The card, as written to `<out>/<model>.json`.

    Raises:
        ValueError: An entry is out of range, the model is no ViT, the folder holds a run with other settings or its
            weights, or training diverged.
        FileNotFoundError: There are no images.
        FolderInUseError: Another process writes to the folder.
    """
    check_pretraining(config)
    with owned(config.out):
        if not (config.out / CHECKPOINT).is_file():
            refuse_other_weights(config.out, config.model, _settings(config))
        return _pretrain_owned(config)


def photographs(path: Path, image_size: int) -> ImageDataset:
    """The images of a folder or archive, or those of Tiny ImageNet, whose layout is another."""
    path = path.resolve()
    if any(name.endswith("val/val_annotations.txt") for name in open_tree(path).contents.files):
        return replace(load_tiny_imagenet, candidates=(path.name,))(root=path.parent, image_size=image_size)
    return load_dataset("folder", root=path, image_size=image_size)


def _pretrain_owned(config: PretrainConfig) -> dict[str, Any]:
    torch.set_num_threads(config.threads)
    plain = timm.create_model(config.model, num_classes=1)
    if not isinstance(plain, VisionTransformer):
        raise ValueError(f"{config.model} is no VisionTransformer of timm, whose images may grow in training")
    inputs = ModelInputs.of(plain)
    dataset = photographs(config.images, inputs.stored)
    if len(dataset.train_labels) < config.batch_size:
        raise ValueError(
            f"{config.images} has {len(dataset.train_labels)} training images, less than a batch of "
            f"{config.batch_size}: give a smaller --batch-size"
        )
    torch.manual_seed(config.seed)
    model = timm.create_model(config.model, num_classes=len(dataset.class_names), dynamic_img_size=True)
    state = _train(model, dataset, inputs, config)
    average = state.average.module
    half = half_precision(average)
    facts = {
        "command": _command(config),
        "task": f"supervised classification of the photographs of {dataset.name}",
        "classes": len(dataset.class_names),
        "train_images": len(dataset.train_labels),
        "test_accuracy": round(accuracy(average, dataset.test_images, dataset.test_labels, inputs), 4),
        "test_images": len(dataset.test_labels),
        "images_sha256": dataset.images_sha256,
        "config": _settings(config),
        "minutes": round(state.seconds / 60, 1),
    }
    return write_model(config.out, config.model, half, facts)


def _settings(config: PretrainConfig) -> dict[str, Any]:
    """The settings that change the result."""
    return {key: value for key, value in asdict(config).items() if key not in PLACES}


def _command(config: PretrainConfig) -> str:
    """The command with the settings that differ from the defaults."""
    words = ["cls-env", "pretrain", *option_words("images", config.images.name)]
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name not in PLACES and value != field.default:
            words += option_words(field.name, value)
    return shlex.join(words)


def _train(model: nn.Module, dataset: ImageDataset, inputs: ModelInputs, config: PretrainConfig) -> TrainingState:
    optimizer = create_optimizer_v2(
        model, opt=config.optimizer, lr=config.learning_rate, weight_decay=config.weight_decay
    )
    per_epoch = len(dataset.train_labels) // config.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        config.learning_rate,
        total_steps=per_epoch * config.epochs,
        pct_start=WARM_UP,
        cycle_momentum=False,
    )
    average = ModelEmaV3(model, decay=config.average_decay, use_warmup=True)
    state = TrainingState(config, dataset.images_sha256, model, average, optimizer, schedule)
    state.restore()
    with progress_bar() as progress:
        bar = progress.add_task("pretrain", total=per_epoch * config.epochs, completed=per_epoch * state.epoch)
        while state.epoch < config.epochs:
            started = time.perf_counter()
            side = inputs.small if state.epoch < config.small_epochs * config.epochs else inputs.size
            loss = torch.zeros(())
            for images, labels in _batches(dataset, side, state.epoch, config):
                loss = _step(state, inputs.standardized(images), labels, config)
                progress.advance(bar)
            tested = accuracy(average.module, dataset.test_images, dataset.test_labels, inputs)
            state.finish_epoch(time.perf_counter() - started)
            say(f"epoch {state.epoch}/{config.epochs}  {side} px  loss {loss:.3f}  test accuracy {tested:.1%}")
    return state


def _step(state: TrainingState, images: Tensor, labels: Tensor, config: PretrainConfig) -> Tensor:
    with arithmetic(config.precision, torch.device("cpu")):
        logits = state.model(images).float()
    loss = nn.functional.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)
    state.optimizer.step()
    state.schedule.step()
    state.average.update(state.model, step=state.schedule.last_epoch)
    return loss.detach()


def _batches(dataset: ImageDataset, side: int, epoch: int, config: PretrainConfig) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of an epoch, whose order and crops depend on the seed and the number of the epoch alone."""
    order = np.random.default_rng([config.seed, epoch]).permutation(len(dataset.train_labels))
    generator = torch.Generator().manual_seed(config.seed + epoch * 1_000_003)
    view = TrainView(side, scale=(config.smallest_crop, 1.0))
    for first in range(0, len(order) - config.batch_size + 1, config.batch_size):
        rows = np.sort(order[first : first + config.batch_size])
        images = torch.from_numpy(np.ascontiguousarray(dataset.train_images[rows])).permute(0, 3, 1, 2)
        yield view(images, generator), torch.from_numpy(dataset.train_labels[rows])

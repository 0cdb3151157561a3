"""Supervised pretraining of the embedded micro ViT, on freshly drawn images of characters that no stream uses."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from timm.data import resolve_model_data_config
from torch import nn

from agents.networks.embedded_vits import MICRO_VIT
from cls_env.datasets.glyphs.characters import characters
from cls_env.datasets.glyphs.drawing import GlyphPainter
from experiments.config.pretraining import CharactersConfig
from experiments.console import progress_bar
from experiments.pretraining.limits import check_limits
from experiments.pretraining.model_files import half_precision, normalized, write_model
from experiments.runs.ownership import owned

LEAST = {"images": 1, "batch_size": 1, "test_images_per_class": 1, "seed": 0, "threads": 1, "weight_decay": 0.0}
"""The smallest value of each entry that has one."""


def check_pretraining(config: CharactersConfig) -> None:
    """Check a configuration before any work.

    Raises:
        ValueError: An entry is out of range; the message names it.
    """
    check_limits(config, LEAST, ("learning_rate", "clip"))
    if config.images < config.batch_size:
        raise ValueError(f"images must be at least a batch of {config.batch_size}, not {config.images}")


def pretrain(config: CharactersConfig) -> dict[str, Any]:
    """Train, test the half-precision weights, and write weights and card.

    Returns:
        The card, as written to `<out>/vit_micro_patch8_32.json`.

    Raises:
        ValueError: An entry is out of range; or training diverged, and nothing is written.
        FolderInUseError: Another process writes to the folder.
    """
    check_pretraining(config)
    with owned(config.out):
        return _pretrain_owned(config)


def _pretrain_owned(config: CharactersConfig) -> dict[str, Any]:
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    started = time.perf_counter()
    pool = characters()["pretraining"]
    model = timm.create_model(MICRO_VIT.name, num_classes=len(pool))
    _train(model, pool, config)
    half = half_precision(model)
    accuracy = test_accuracy(model, pool, config.test_images_per_class, seed=config.seed + 1)
    facts = {
        "command": "python -m experiments pretrain-characters --out agents/networks/pretrained",
        "task": "supervised classification of freshly drawn glyphs, characters disjoint from every stream's",
        "classes": len(pool),
        "test_accuracy": round(accuracy, 4),
        "test_images": config.test_images_per_class * len(pool),
        "characters_sha256": hashlib.sha256("".join(pool).encode()).hexdigest(),
        "config": {key: value for key, value in asdict(config).items() if key != "out"},
        "minutes": round((time.perf_counter() - started) / 60, 1),
    }
    return write_model(config.out, MICRO_VIT.name, half, facts)


def test_accuracy(model: nn.Module, pool: tuple[str, ...], images_per_class: int, seed: int) -> float:
    """Accuracy on new glyphs of normal distortion, in [0, 1]."""
    model.eval()
    labels = np.repeat(np.arange(len(pool)), images_per_class)
    images = GlyphPainter(pool, seed).paint(labels)
    with torch.no_grad():
        predicted = torch.cat([model(_normalized(model, part)).argmax(dim=1) for part in np.array_split(images, 32)])
    return float((predicted.numpy() == labels).mean())


def _train(model: nn.Module, pool: tuple[str, ...], config: CharactersConfig) -> None:
    steps = config.images // config.batch_size
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=steps, pct_start=0.02, cycle_momentum=False
    )
    model.train()
    with progress_bar() as progress:
        bar = progress.add_task("pretrain", total=steps)
        for step, (images, labels) in enumerate(_batches(pool, steps, config)):
            logits = model(_normalized(model, images))
            target = torch.from_numpy(labels)
            loss = nn.functional.cross_entropy(logits, target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            optimizer.step()
            schedule.step()
            if step % 20 == 0:
                accuracy = (logits.argmax(dim=1) == target).float().mean()
                progress.update(bar, completed=step, description=f"pretrain  loss {loss:.3f}  accuracy {accuracy:.1%}")
        progress.update(bar, completed=steps)


def _batches(
    pool: tuple[str, ...], steps: int, config: CharactersConfig
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """New batches, each drawn while the one before is trained on; distortion rises over the first quarter."""
    painter = GlyphPainter(pool, config.seed)
    labels = np.random.default_rng(config.seed)

    def draw(step: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        batch = labels.integers(len(pool), size=config.batch_size)
        return painter.paint(batch, strength=min(1.0, 4 * step / steps)), batch

    with ThreadPoolExecutor(max_workers=1) as ahead:
        following = ahead.submit(draw, 0)
        for step in range(1, steps + 1):
            batch = following.result()
            following = ahead.submit(draw, step)
            yield batch


def _normalized(model: nn.Module, images: NDArray[np.uint8]) -> torch.Tensor:
    """Convert uint8 [N, H, W, 3] to float32 [N, 3, H, W], normalized by the model's mean and standard deviation."""
    config = resolve_model_data_config(model)
    return normalized(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255, config["mean"], config["std"])

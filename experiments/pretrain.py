"""Supervised pretraining of the embedded micro ViT, on freshly drawn images of characters that no stream uses."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from math import inf
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from timm.data import resolve_model_data_config
from torch import nn

from agents.networks.micro_vit import MICRO_VIT, MICRO_VIT_CARD, MICRO_VIT_WEIGHTS
from cls_env.datasets.glyphs.characters import characters
from cls_env.datasets.glyphs.drawing import GlyphPainter
from experiments.config.pretraining import PretrainConfig
from experiments.console import progress_bar
from experiments.files import replace_file, write_json
from experiments.runs.ownership import owned

LEAST = {"images": 1, "batch_size": 1, "test_images_per_class": 1, "seed": 0, "threads": 1, "weight_decay": 0.0}
"""The smallest value of each entry that has one."""


def check_pretraining(config: PretrainConfig) -> None:
    """Check a configuration before any work.

    Raises:
        ValueError: An entry is out of range; the message names it.
    """
    for name, least in LEAST.items():
        if not least <= getattr(config, name) < inf:
            raise ValueError(f"{name} must be at least {least:g}, not {getattr(config, name)}")
    for name in ("learning_rate", "clip"):
        if not 0 < getattr(config, name) < inf:
            raise ValueError(f"{name} must be positive, not {getattr(config, name)}")
    if config.images < config.batch_size:
        raise ValueError(f"images must be at least a batch of {config.batch_size}, not {config.images}")


def pretrain(config: PretrainConfig) -> dict[str, Any]:
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


def _pretrain_owned(config: PretrainConfig) -> dict[str, Any]:
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    started = time.perf_counter()
    pool = characters()["pretraining"]
    model = timm.create_model(MICRO_VIT, num_classes=len(pool))
    _train(model, pool, config)

    half = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    if not all(torch.isfinite(tensor).all() for tensor in half.values()):
        raise ValueError(f"training diverged at the peak rate {config.learning_rate:g}; give a smaller --learning-rate")
    model.load_state_dict(half)
    accuracy = test_accuracy(model, pool, config.test_images_per_class, seed=config.seed + 1)

    weights = config.out / MICRO_VIT_WEIGHTS.name
    replace_file(weights, lambda aside: save_file(half, aside))
    card = {
        "model": MICRO_VIT,
        "command": "python -m experiments pretrain --out agents/networks/pretrained",
        "task": "supervised classification of freshly drawn glyphs, characters disjoint from every stream's",
        "classes": len(pool),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "dtype": "float16",
        "test_accuracy": round(accuracy, 4),
        "test_images": config.test_images_per_class * len(pool),
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "characters_sha256": hashlib.sha256("".join(pool).encode()).hexdigest(),
        "config": {key: value for key, value in asdict(config).items() if key != "out"},
        "minutes": round((time.perf_counter() - started) / 60, 1),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "timm": timm.__version__},
    }
    write_json(config.out / MICRO_VIT_CARD.name, card)
    return card


def test_accuracy(model: nn.Module, pool: tuple[str, ...], images_per_class: int, seed: int) -> float:
    """Accuracy on new glyphs of normal distortion, in [0, 1]."""
    model.eval()
    labels = np.repeat(np.arange(len(pool)), images_per_class)
    images = GlyphPainter(pool, seed).paint(labels)
    with torch.no_grad():
        predicted = torch.cat([model(_normalized(model, part)).argmax(dim=1) for part in np.array_split(images, 32)])
    return float((predicted.numpy() == labels).mean())


def _train(model: nn.Module, pool: tuple[str, ...], config: PretrainConfig) -> None:
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
    pool: tuple[str, ...], steps: int, config: PretrainConfig
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
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - mean) / std

"""The same training step without this package: a bare loop on the device, which is the ceiling, and customary ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, repeat
from typing import Any

import timm
import torch
import torchvision.transforms.v2 as vision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from agents.networks.views import TrainView
from experiments.benchmarks.gpu.facts import synchronize
from experiments.benchmarks.gpu.random_agent import few_images, random_agent
from experiments.benchmarks.gpu.report import Check, Row
from experiments.benchmarks.gpu.settings import CROP_SCALE, GpuSettings
from experiments.benchmarks.gpu.speed import timed_steps
from experiments.benchmarks.gpu.step_clock import StepClock
from experiments.benchmarks.measuring import Side, rate

BLOCKS = (0, 1, 2, 3, 4)
RANK = 4
WORKERS = 8
Batches = Iterator[tuple[Tensor, Tensor]]


def checks(settings: GpuSettings) -> dict[str, Check]:
    """Images a second of whole steps."""
    found: dict[str, Check] = {
        "ours": partial(_ours, settings),
        "bare loop": partial(_peer, settings, "bare loop, images on the device", crops_on_device, False),
        "DataLoader": partial(
            _peer, settings, f"bare loop, DataLoader of {WORKERS} processes, pinned", from_data_loader, False
        ),
        "torchvision": partial(
            _peer, settings, "bare loop, torchvision's crop for each image on the device", crops_by_torchvision, False
        ),
    }
    if "compiled" in settings.paths:
        compiled = partial(_peer, settings, "compiled bare loop, images on the device", crops_on_device, True)
        found["compiled bare loop"] = compiled
    return found


class KeyValueLoRA(nn.Module):
    """The frozen layer of queries, keys and values, with a LoRA for keys and one for values."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer, width = layer, layer.in_features
        self.down = nn.Parameter(torch.randn(2 * RANK, width) / width**0.5)
        self.up = nn.Parameter(torch.zeros(2, width, RANK))

    def forward(self, tokens: Tensor) -> Tensor:
        """Queries, keys and values, shape (B, T, 3 D)."""
        keys, values = F.linear(tokens, self.down).chunk(2, dim=-1)
        added = torch.cat([F.linear(keys, self.up[0]), F.linear(values, self.up[1])], dim=-1)
        return self.layer(tokens) + F.pad(added, (self.layer.in_features, 0))


class Stored(Dataset[tuple[Tensor, int]]):
    """Images in main memory, each cropped by torchvision when it is read."""

    def __init__(self, settings: GpuSettings) -> None:
        data = few_images(settings)
        self._images, self._labels = torch.tensor(data.train_images).permute(0, 3, 1, 2), data.train_labels
        crop = vision.RandomResizedCrop(settings.image_size, CROP_SCALE, antialias=True)
        self._view = vision.Compose([crop, vision.RandomHorizontalFlip()])

    def __len__(self) -> int:
        """Number of images."""
        return len(self._labels)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        """A uint8 view and its label."""
        return self._view(self._images[row]), int(self._labels[row])


def crops_on_device(settings: GpuSettings) -> Batches:
    """Random rows of images on the device, in batched random crops."""
    images, labels = _on_device(settings)
    view, generator = TrainView(settings.image_size, CROP_SCALE), torch.Generator()
    for _ in repeat(None):
        rows = torch.randint(len(labels), (settings.batch_size,), device=labels.device)
        yield view(images[rows], generator), labels[rows]


def crops_by_torchvision(settings: GpuSettings) -> Batches:
    """The same images, cropped one by one."""
    images, labels = _on_device(settings)
    crop = vision.RandomResizedCrop(settings.image_size, CROP_SCALE, antialias=True)
    for _ in repeat(None):
        rows = torch.randint(len(labels), (settings.batch_size,), device=labels.device)
        yield torch.stack([crop(image) for image in images[rows]]).float() / 255, labels[rows]


def from_data_loader(settings: GpuSettings) -> Batches:
    """Batches of worker processes, pinned and copied to the device."""
    device = settings.device
    loader = DataLoader(
        Stored(settings),
        settings.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=WORKERS,
        pin_memory=device.type == "cuda",
        persistent_workers=True,
    )
    for images, labels in chain.from_iterable(repeat(loader)):
        yield images.to(device, non_blocking=True).float() / 255, labels.to(device, non_blocking=True)


def bare_model(settings: GpuSettings) -> nn.Module:
    """The backbone of timm with random weights, LoRA in some blocks, and a head."""
    model: nn.Module = timm.create_model(
        settings.model, pretrained=False, num_classes=settings.classes, img_size=settings.image_size
    )
    model.requires_grad_(False)
    blocks: Any = model.blocks
    for block in (blocks[index] for index in BLOCKS):
        block.attn.qkv = KeyValueLoRA(block.attn.qkv)
    model.get_classifier().requires_grad_(True)  # type: ignore[operator]
    return model.to(settings.device)


def _on_device(settings: GpuSettings) -> tuple[Tensor, Tensor]:
    data = few_images(settings)
    images = torch.tensor(data.train_images, device=settings.device).permute(0, 3, 1, 2)
    return images, torch.tensor(data.train_labels, device=settings.device)


def _loop(settings: GpuSettings, batches: Batches, compiled: bool) -> Side:
    model, device = bare_model(settings), settings.device
    forward = torch.compile(model, dynamic=False) if compiled else model
    learned = [tensor for tensor in model.parameters() if tensor.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=5e-4, fused=device.type == "cuda")

    def side() -> int:
        for _ in range(settings.steps):
            views, labels = next(batches)
            with torch.autocast(device.type, torch.bfloat16):
                logits = forward((views - 0.5) / 0.5)
            loss = F.cross_entropy(logits.float(), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        synchronize(device)
        return settings.steps * settings.batch_size

    return side


def _peer(settings: GpuSettings, name: str, batches: Callable[[GpuSettings], Batches], compiled: bool) -> Iterator[Row]:
    side = _loop(settings, batches(settings), compiled)
    side()
    yield Row(f"whole step, {name}", rate(side), "images/s")


def _ours(settings: GpuSettings) -> Iterator[Row]:
    path = settings.paths[-1]
    agent = random_agent(settings, path)
    clock = timed_steps(agent, False, StepClock(settings.steps, agent.device))
    yield Row(f"whole step, this package, {path}", settings.batch_size / clock.seconds, "images/s")

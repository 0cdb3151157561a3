"""What shapes a run. The CLI is made from these dataclasses, and each run keeps its resolved copy as JSON."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all runs of a comparison share."""

    dataset: str = "glyphs"
    """Image set: glyphs (embedded), or folder (an ImageFolder tree or a zip of one)."""
    root: str | None = None
    """The tree or zip, for --dataset folder."""
    image_size: int | None = None
    """Side in pixels to which a folder's images are resized; 32 unless told otherwise."""
    num_tasks: int = 5
    """Tasks of the stream; 1 is joint training."""
    epochs: int = 20
    """Passes over each task's training images."""
    batch_size: int = 32
    """Images a gradient step."""
    learning_rate: float = 5e-4
    """Adam's rate."""
    freeze_fraction: float = 0.6
    """Share of each later task's steps during which only the head learns."""
    cache_features: bool = True
    """Compute each image's features once in the head-only phase; exact, as nothing is augmented."""
    model: str = "vit_micro_patch8_32"
    """Backbone: the embedded micro ViT, or a timm name."""
    pretrained: bool = True
    """Load the backbone's weights; otherwise they are random."""
    peft: str = "lora"
    """Trainable module in the backbone: lora, or none to train the head alone."""
    lora_rank: int = 4
    """Rank of each LoRA."""
    blocks: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Transformer blocks that get a module."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the backbone; bfloat16 is autocast."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the policy runs; auto takes a GPU where there is one."""
    threads: int = 1
    """CPU threads of a run; fixed, because sums in another order round differently."""

    @property
    def data_name(self) -> str:
        """Short name of the images: of the folder or zip, or of the set."""
        return self.dataset if self.root is None else Path(self.root).stem


@dataclass(frozen=True, kw_only=True)
class RunConfig(Settings):
    """One run: one objective, one seed."""

    objective: str = "aepg"
    """ce, epg or aepg."""
    label_noise: float = 0.0
    """Share of each task's training labels flipped to another class of the task."""
    seed: int = 0
    """Fixes images, class order, label noise, initialisation, batch order and sampled actions, by a stream each."""

    @property
    def name(self) -> str:
        """Readable, and different for every different configuration."""
        digest = hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()
        stream = f"{self.data_name}-{self.num_tasks}tasks"
        return f"{stream}-{self.objective}-noise{self.label_noise:g}-seed{self.seed}-{digest[:8]}"

    @property
    def seeds(self) -> Seeds:
        """The independent seeds that the one seed stands for; the same for every objective."""
        return Seeds(*map(int, np.random.SeedSequence(self.seed).generate_state(len(fields(Seeds)))))

    def as_json(self) -> dict[str, Any]:
        """The fields, as JSON knows them."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content


@dataclass(frozen=True)
class Seeds:
    """One seed for each source of randomness, so that contenders differ in one thing alone."""

    images: int
    stream: int
    batch_order: int
    agent: int


def shared_settings(config: Settings) -> dict[str, Any]:
    """The fields of `Settings`, to make a `RunConfig` of a comparison's configuration."""
    return {field.name: getattr(config, field.name) for field in fields(Settings)}

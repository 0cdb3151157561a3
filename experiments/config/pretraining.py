"""The settings of pretraining."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.config.fields import settle

PLACES = ("images", "out")
"""Settings of `PretrainConfig` that say where files are, which does not change the result."""


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Pretrain a ViT on photographs and write its weights and card."""

    images: Path
    """Folder, zip or tar of the images, as --dataset folder reads it, or the folder of Tiny ImageNet."""
    out: Path = Path("results/pretrain")
    """Folder for the weights, the card and the checkpoint from which a stopped run goes on."""
    model: str = "vit_mini_patch16_64"
    """timm name of the ViT; its input has the size of its own default."""
    epochs: int = 16
    """Passes over the training images."""
    batch_size: int = 256
    """Images a gradient step."""
    optimizer: str = "muon"
    """An optimizer of timm: muon, adamw, ..."""
    learning_rate: float = 5e-3
    """Peak learning rate, with warm-up over 3 % of the steps and cosine decay to 0."""
    weight_decay: float = 0.05
    """Weight decay of the matrices."""
    label_smoothing: float = 0.1
    """Share of the target that all classes have in equal parts."""
    smallest_crop: float = 0.35
    """Smallest share of the image's area in a random crop."""
    small_epochs: float = 0.6
    """Share of the epochs, from the first one on, in which images have 3/4 of the model's input size."""
    average_decay: float = 0.999
    """Decay of the moving average of the weights; the average is what is tested and written."""
    clip: float = 1.0
    """Gradient norm limit."""
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Precision of matrix products."""
    seed: int = 0
    """Fixes initialization, crops and order of the images."""
    threads: int = 2
    """CPU threads; another number rounds sums differently."""

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True)
class CharactersConfig:
    """Pretrain the embedded micro ViT on drawn characters and write its weights and card."""

    out: Path = Path("results/pretrain")
    """Folder for the weights and the card; `agents/networks/pretrained` replaces those that ship."""
    images: int = 460_000
    """Training images, each drawn once and never seen again."""
    batch_size: int = 128
    """Images a gradient step."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW, with warm-up over 2 % of the steps and cosine decay to 0."""
    weight_decay: float = 0.05
    """AdamW's weight decay."""
    clip: float = 1.0
    """Gradient norm limit."""
    test_images_per_class: int = 20
    """New images of each class on which the accuracy of the card is measured."""
    seed: int = 0
    """Fixes initialization, images and their order."""
    threads: int = 2
    """CPU threads; another number rounds sums differently, which changes the final accuracy by some points."""

    def __post_init__(self) -> None:
        settle(self)

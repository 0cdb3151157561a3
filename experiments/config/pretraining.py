"""The settings of pretraining."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.config.fields import settle


@dataclass(frozen=True)
class PretrainConfig:
    """Pretrain the embedded micro ViT and write its weights and card."""

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

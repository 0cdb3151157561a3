"""What a ViT of timm takes: the size of its images, their view at test, and their normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from timm.data import resolve_model_data_config
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from agents.networks.views import CentralView
from experiments.pretraining.model_files import normalized

SMALL = 3 / 4
"""Side of the images of the first epochs over that of the model's input."""
TEST_BATCH = 500


@dataclass(frozen=True)
class ModelInputs:
    """The inputs of a model, as its entry in timm describes them.

    Attributes:
        size: Side of its images, in pixels.
        patch: Side of its patches, in pixels.
        crop_fraction: Side of the central crop at test over that of the resized image.
        interpolation: `"bicubic"` or `"bilinear"`.
        mean: Of each channel.
        std: Standard deviation of each channel.
    """

    size: int
    patch: int
    crop_fraction: float
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, model: VisionTransformer) -> ModelInputs:
        """Those of a model."""
        config = resolve_model_data_config(model)
        return cls(
            size=config["input_size"][-1],
            patch=model.patch_embed.patch_size[0],
            crop_fraction=config["crop_pct"],
            interpolation=config["interpolation"],
            mean=config["mean"],
            std=config["std"],
        )

    @property
    def stored(self) -> int:
        """Side at which images are decoded: the one from which the test crop is taken."""
        return int(self.size / self.crop_fraction)

    @property
    def small(self) -> int:
        """Side of the images of the first epochs, in whole patches."""
        return max(1, round(SMALL * self.size / self.patch)) * self.patch

    def standardized(self, images: Tensor) -> Tensor:
        """Images [N, 3, H, W] with values in [0, 1], as the model takes them."""
        return normalized(images, self.mean, self.std).contiguous(memory_format=torch.channels_last)


def accuracy(model: nn.Module, images: Any, labels: NDArray[np.int64], inputs: ModelInputs) -> float:
    """Accuracy of a model on images, in [0, 1].

    Args:
        model: Maps its inputs to logits.
        images: uint8 of shape (N, H, W, 3).
        labels: int64 of shape (N,).
        inputs: What it takes.
    """
    was_training = model.training
    model.eval()
    view, right = CentralView(inputs.size, inputs.crop_fraction, inputs.interpolation), 0
    with torch.no_grad():
        for first in range(0, len(labels), TEST_BATCH):
            rows = slice(first, first + TEST_BATCH)
            pixels = torch.from_numpy(np.array(images[rows])).permute(0, 3, 1, 2)
            chosen = model(inputs.standardized(view(pixels))).argmax(dim=1)
            right += int((chosen.numpy() == labels[rows]).sum())
    model.train(was_training)
    return right / len(labels)

"""From observed images to the inputs of a backbone: layout, view, and standardization of the pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from timm.data.constants import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    IMAGENET_INCEPTION_MEAN,
    IMAGENET_INCEPTION_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)
from torch import Tensor, nn

from agents.networks.views import CentralView
from cls_env.specification import lookup

View = Callable[[Tensor], Tensor]
"""uint8 [B, 3, H, W] to float32 [B, 3, h, w] in [0, 1], see `agents.networks.views`."""

CHANNELS = (1, 3)
"""Gray and RGB images."""

NORMALIZATIONS: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    "imagenet": (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD),
    "half": (IMAGENET_INCEPTION_MEAN, IMAGENET_INCEPTION_STD),
    "clip": (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""Mean and standard deviation of red, green and blue in [0, 1]; LAE (arXiv 2303.10070) feeds its ViT with none."""


class Preprocessing(nn.Module):
    """Brings uint8 images into the form that a backbone's weights expect.

    The steps are: channels first, the view (crop, resize, pixels in [0, 1]), minus mean, over standard deviation.

    Args:
        channels_first: Whether images come as [B, C, H, W], and not as [B, H, W, C].
        view: Part of an image that is seen at test time.
        mean: Mean of red, green and blue in [0, 1].
        std: Their standard deviation.

    Attributes:
        view: The default view.
        mean: float32 of shape (1, 3, 1, 1).
        std: float32 of shape (1, 3, 1, 1).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels_first: bool, view: CentralView, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.channels_first = channels_first
        self.view = view
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor, view: View | None = None) -> Tensor:
        """The backbone's inputs, float32 of shape (B, 3, h, w).

        Args:
            images: uint8, in the layout of the observation space.
            view: Replaces the default view, for example by random crops in training.
        """
        planes = images if self.channels_first else images.permute(0, 3, 1, 2)
        return ((view or self.view)(planes) - self.mean) / self.std


def mean_and_std(normalization: str, own: tuple[Sequence[float], Sequence[float]]) -> Sequence[Sequence[float]]:
    """Mean and standard deviation of the pixels.

    Args:
        normalization: A name in `NORMALIZATIONS`, or `"checkpoint"` for those of the model's pretrained config.
        own: The latter.

    Raises:
        ValueError: The name is unknown.
    """
    return lookup("normalization", normalization, {"checkpoint": own} | NORMALIZATIONS)


def image_layout(space: spaces.Space[Any]) -> tuple[bool, tuple[int, int]]:
    """Whether channels come first in the images of a space, and their height and width in pixels.

    Raises:
        ValueError: The space does not hold uint8 images with 1 or 3 channels.
    """
    if not isinstance(space, spaces.Box) or not is_image_space(space):
        raise ValueError(f"the ViT sees uint8 images in 0 ... 255 with 1 or 3 channels, not {space}")
    channels_first = is_image_space_channels_first(space)
    channels = space.shape[0 if channels_first else 2]
    if channels not in CHANNELS:
        raise ValueError(
            f"images must have 1 or 3 channels, not {channels}: remove wrappers that add channels, such as "
            "VecFrameStack, and alpha channels"
        )
    height, width = space.shape[1:] if channels_first else space.shape[:2]
    return channels_first, (height, width)


def to_space_layout(images: Tensor, space: spaces.Space[Any]) -> Tensor:
    """Images [B, H, W, C], as environments give them, in the layout of a policy's observation space."""
    return images.permute(0, 3, 1, 2) if images.shape[1:] != space.shape else images

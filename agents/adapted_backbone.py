"""A backbone with its PEFT module, and what stands between it and the images of an observation space."""

from __future__ import annotations

from typing import Any, NamedTuple

from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from torch import nn

from agents.augmentation import CentralView
from agents.backbone import Normalize, create_backbone, feature_width, weights_hash
from agents.peft_modules import add_peft_module
from agents.policy_config import PolicyConfig


class AdaptedBackbone(NamedTuple):
    """What `adapt_backbone` makes.

    Attributes:
        central_view: What of an image is seen at test.
        normalize: Brings pixels to what the backbone's weights expect.
        backbone: The frozen model with its module, in eval mode; what learns in it has gradients.
        weights_sha256: Of the backbone's weights as they were loaded or drawn, without the module.
        features_dim: Width of the features.
    """

    central_view: CentralView
    normalize: Normalize
    backbone: nn.Module
    weights_sha256: str
    features_dim: int


def adapt_backbone(config: PolicyConfig, observation_space: spaces.Space[Any]) -> AdaptedBackbone:
    """Make the backbone of a configuration for images of a space.

    Args:
        config: Its entries on model, weights, view, PEFT module and their seeds.
        observation_space: uint8 images, channels last or first.

    Raises:
        FileNotFoundError: There is no such weights file.
        ValueError: The space, the model, its weights or the module do not fit.
    """
    if not isinstance(observation_space, spaces.Box) or not is_image_space(observation_space):
        raise ValueError(f"the ViT sees uint8 images in 0 ... 255 with 1, 3 or 4 channels, not {observation_space}")
    channels_first = is_image_space_channels_first(observation_space)
    height, width = observation_space.shape[1:] if channels_first else observation_space.shape[:2]
    size = _image_size((height, width), config.input_size)
    bare = create_backbone(config.model, config.pretrained, size, config.backbone_seed, config.weights)
    normalize = Normalize(bare, not channels_first, config.normalisation)
    sha256 = weights_hash(bare)
    backbone = add_peft_module(config.peft, bare, config.blocks, config.peft_seed).eval()
    view = CentralView(size, config.crop_fraction)
    return AdaptedBackbone(view, normalize, backbone, sha256, feature_width(backbone, size))


def _image_size(observed: tuple[int, int], input_size: int | None) -> tuple[int, int]:
    """Height and width of what the model sees."""
    if input_size is None:
        return observed
    if input_size < 1:
        raise ValueError(f"input_size is the side of a square in pixels, at least 1, not {input_size}")
    return input_size, input_size

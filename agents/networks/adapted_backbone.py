"""A backbone with its PEFT module, and what stands between it and the images of an observation space."""

from __future__ import annotations

from typing import Any, NamedTuple

from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from torch import nn

from agents.networks.backbone import Normalize, create_backbone, feature_width, weights_hash
from agents.networks.config import PolicyConfig
from agents.networks.native_view import view_of
from agents.networks.views import CentralView
from agents.peft_modules import add_peft_module

CHANNELS = (1, 3)
"""Grey and RGB images."""


class AdaptedBackbone(NamedTuple):
    """What `adapt_backbone` makes.

    Attributes:
        central_view: What of an image is seen at test.
        normalize: Brings pixels to what the backbone's weights expect.
        backbone: The frozen model with its module, in eval mode; what learns in it has gradients.
        weights_sha256: Of the backbone's weights as they were loaded or drawn, without the module.
        features_dim: Width of the features.
        module_names: Names of the backbone's tensors that are the module's own: the trainable ones, and the persistent
            buffers that the bare model does not have.
    """

    central_view: CentralView
    normalize: Normalize
    backbone: nn.Module
    weights_sha256: str
    features_dim: int
    module_names: frozenset[str]


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
        raise ValueError(f"the ViT sees uint8 images in 0 ... 255 with 1 or 3 channels, not {observation_space}")
    channels_first = is_image_space_channels_first(observation_space)
    channels = observation_space.shape[0 if channels_first else 2]
    if channels not in CHANNELS:
        raise ValueError(
            f"images must have 1 or 3 channels, not {channels}: remove wrappers that add channels, such as "
            "VecFrameStack, and alpha channels"
        )
    height, width = observation_space.shape[1:] if channels_first else observation_space.shape[:2]
    size = _image_size((height, width), config.input_size)
    bare = create_backbone(config.model, config.pretrained, size, config.backbone_seed, config.weights)
    normalize = Normalize(bare, not channels_first, config.normalization)
    sha256 = weights_hash(bare)
    bare_buffers = {id(buffer) for buffer in bare.buffers()}
    backbone = add_peft_module(config.peft, bare, config.blocks, config.peft_seed).eval()
    own = view_of(bare)
    view = CentralView(size, config.crop_fraction or own.crop_fraction, config.interpolation or own.interpolation)
    width = feature_width(backbone, size)
    return AdaptedBackbone(view, normalize, backbone, sha256, width, _module_names(backbone, bare_buffers))


def _module_names(backbone: nn.Module, bare_buffers: set[int]) -> frozenset[str]:
    learned = {name for name, tensor in backbone.named_parameters() if tensor.requires_grad}
    buffers = {name for name, buffer in backbone.named_buffers() if id(buffer) not in bare_buffers}
    return frozenset(learned | (buffers & set(backbone.state_dict())))


def _image_size(observed: tuple[int, int], input_size: int | None) -> tuple[int, int]:
    """Height and width of what the model sees."""
    return observed if input_size is None else (input_size, input_size)

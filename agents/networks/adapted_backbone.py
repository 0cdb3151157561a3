"""A backbone with its PEFT module and the preprocessing of its images, made from a `PolicyConfig`."""

from __future__ import annotations

from math import nextafter
from typing import Any, NamedTuple

from gymnasium import spaces
from timm.data import resolve_model_data_config
from torch import nn

from agents.networks.backbone import create_backbone, feature_width, weights_hash, whole_patches
from agents.networks.class_token import prepare_last_block
from agents.networks.config import PolicyConfig
from agents.networks.fetched_weights import needs_download
from agents.networks.native_view import view_of
from agents.networks.preprocessing import Preprocessing, image_layout, mean_and_std
from agents.networks.views import CentralView
from agents.peft_modules import add_peft_module


class AdaptedBackbone(NamedTuple):
    """The parts that `Network` and `ViTFeatures` share.

    Attributes:
        preprocessing: From observed images to inputs of the backbone.
        backbone: The model with its PEFT module, in eval mode; exactly its trainable tensors require gradients.
        weights_sha256: Hash of the backbone's weights as they were loaded or drawn, without the module.
        features_dim: Width of the features.
        module_names: Names of the tensors that the module added or made trainable: parameters and persistent buffers.
    """

    preprocessing: Preprocessing
    backbone: nn.Module
    weights_sha256: str
    features_dim: int
    module_names: frozenset[str]


def adapt_backbone(config: PolicyConfig, observation_space: spaces.Space[Any]) -> AdaptedBackbone:
    """Make the backbone of a configuration for the images of a space.

    Args:
        config: The entries on model, weights, view, PEFT module and their seeds are used.
        observation_space: uint8 images, channels last or first.

    Raises:
        FileNotFoundError: The weights file does not exist.
        ValueError: The space, the model, its weights or the module do not fit.
    """
    channels_first, observed = image_layout(observation_space)
    given = None if config.input_size is None else (config.input_size, config.input_size)
    if config.pretrained and config.weights is None and needs_download(config.model):
        _check_module(config, given or observed, cut_border=not given)
    bare = create_backbone(
        config.model, config.pretrained, given or observed, config.backbone_seed, config.weights, cut_border=not given
    )
    size = given or whole_patches(bare, observed)
    own = resolve_model_data_config(bare)
    mean, std = mean_and_std(config.normalization, (own["mean"], own["std"]))
    native = view_of(bare)
    crop_fraction = native.crop_fraction if given or size == observed else _share_that_keeps_pixels(size, observed)
    view = CentralView(size, config.crop_fraction or crop_fraction, config.interpolation or native.interpolation)
    sha256 = weights_hash(bare)
    bare_buffers = {id(buffer) for buffer in bare.buffers()}
    prepare_last_block(bare)
    backbone = add_peft_module(config.peft, bare, config.blocks, config.peft_seed).eval()
    return AdaptedBackbone(
        Preprocessing(channels_first, view, mean, std),
        backbone,
        sha256,
        feature_width(backbone, size),
        _module_names(backbone, bare_buffers),
    )


def _check_module(config: PolicyConfig, size: tuple[int, int], cut_border: bool) -> None:
    """Add the PEFT module to the model with random weights, to find out that it does not fit before a download.

    Raises:
        ValueError: The model or the module does not fit.
    """
    bare = create_backbone(config.model, False, size, config.backbone_seed, cut_border=cut_border)
    prepare_last_block(bare)
    add_peft_module(config.peft, bare, config.blocks, config.peft_seed)


def _share_that_keeps_pixels(size: tuple[int, int], observed: tuple[int, int]) -> float:
    """The crop fraction with which a central view of `observed` pixels is not resized."""
    return nextafter(min(size) / min(observed), 0)  # a view rounds size / share down, which rounding must not lower


def _module_names(backbone: nn.Module, bare_buffers: set[int]) -> frozenset[str]:
    trainable = {name for name, tensor in backbone.named_parameters() if tensor.requires_grad}
    buffers = {name for name, buffer in backbone.named_buffers() if id(buffer) not in bare_buffers}
    return frozenset(trainable | (buffers & set(backbone.state_dict())))

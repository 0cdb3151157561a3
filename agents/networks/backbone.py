"""A timm model without its classifier, as a feature extractor."""

from __future__ import annotations

import hashlib
from typing import Any

import timm
import torch
from torch import Tensor, nn

import agents.networks.embedded_vits
import agents.networks.small_resnet  # noqa: F401  # both register models with timm
from agents.networks.model_names import timm_name
from agents.networks.weights import put_weights, read_weights
from cls_env.arguments import one_of

WIDEST_BORDER = 1 / 8
"""The share of an image's side that may be left out, so that whole patches fill the rest, is less than this."""


def create_backbone(
    model: str,
    pretrained: bool,
    image_size: tuple[int, int],
    seed: int,
    weights: str | None = None,
    cut_border: bool = False,
) -> nn.Module:
    """Create a timm model without its classifier.

    Args:
        model: A timm name, such as `"vit_base_patch16_224.augreg_in21k"`, or the embedded `"vit_micro_patch8_32"`;
            `hf-hub:timm/NAME` and `timm/NAME` mean NAME.
        pretrained: Whether to load the weights that belong to the name, or to draw random ones from the seed.
        image_size: Height and width of the images.
        seed: Fixes random weights; the global random state is left as it was.
        weights: A file to load instead, see `agents.networks.weights`; nothing is fetched then, and the name gives the
            architecture and the normalization alone.
        cut_border: Whether the model is made for `whole_patches(model, image_size)` if its patches leave a remainder of
            less than an eighth of the image's side.

    Returns:
        The model in eval mode, without gradients.

    Raises:
        FileNotFoundError: There is no such weights file.
        ValueError: timm knows no such model, the image size does not fit its patches, or the weights do not fit it.
    """
    model = timm_name(model)
    one_of("model", model.split(".")[0], timm.list_models())
    tensors = None if weights is None else read_weights(weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            backbone, _ = create_timm_model(model, pretrained and tensors is None, image_size)
        except Exception as error:  # timm and the hub's client have many kinds: an unknown tag, no network, ...
            hint = _way_out(model, image_size) if pretrained and tensors is None else ""
            raise ValueError(f"timm can't create {model!r} for {image_size} images: {error}{hint}") from error
    if not (_cut_border(backbone, image_size) if cut_border else whole_patches(backbone, image_size) == image_size):
        patch = _patch_size(backbone)
        raise ValueError(f"{model} cuts images into {patch} patches; a size of {image_size} leaves a remainder")
    if tensors is not None:
        put_weights(backbone, tensors, f"weights file {weights} for {model} of {image_size} images")
    return backbone.eval().requires_grad_(False)


def create_timm_model(
    model: str, pretrained: bool, image_size: tuple[int, int], num_classes: int = 0
) -> tuple[nn.Module, dict[str, Any]]:
    """Let timm create a model for images of a size.

    Args:
        model: A timm name.
        pretrained: Whether to load the weights that belong to the name.
        image_size: Height and width of the images.
        num_classes: Outputs of its classifier; 0 for a model without one.

    Returns:
        The model, and the further arguments that say its size: none for a model without a fixed one.
    """
    sized = {"img_size": image_size}
    try:
        return timm.create_model(model, pretrained=pretrained, num_classes=num_classes, **sized), sized
    except TypeError:  # a model without a fixed image size, such as a ResNet, has no such argument
        return timm.create_model(model, pretrained=pretrained, num_classes=num_classes), {}


def _way_out(model: str, image_size: tuple[int, int]) -> str:
    """What to do about a model that can't be created with its pretrained weights; empty if it can't without either."""
    try:
        create_timm_model(model, False, image_size)
    except Exception:  # as in `create_backbone`
        return ""
    return (
        "; where its weights can't be fetched, give a file of them, --weights FILE (in Python, weights=FILE), or take "
        "random ones, --no-pretrained (pretrained=False)"
    )


def whole_patches(backbone: nn.Module, image_size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the part of an image that a ViT's patches fill; all of it for a model without patches."""
    height, width = (side - side % patch for side, patch in zip(image_size, _patch_size(backbone), strict=True))
    return height, width


def _cut_border(backbone: nn.Module, image_size: tuple[int, int]) -> bool:
    """Make a model take the whole patches of an image alone. False if it can't, or if they leave too much out."""
    filled = whole_patches(backbone, image_size)
    if filled == image_size:
        return True
    narrow = all((side - part) / side < WIDEST_BORDER for side, part in zip(image_size, filled, strict=True))
    set_size = getattr(backbone, "set_input_size", None)
    if narrow and set_size is not None:
        set_size(filled)
    return narrow and set_size is not None


def _patch_size(backbone: nn.Module) -> tuple[int, int]:
    return getattr(getattr(backbone, "patch_embed", None), "patch_size", (1, 1))


def feature_width(backbone: nn.Module, image_size: tuple[int, int]) -> int:
    """Width of the features that a backbone in eval mode gives, measured on one black image.

    timm's `num_features` is the width of the last feature map, which some models project before their classifier.

    Raises:
        ValueError: The model fails on images of this size, or does not give one vector for each.
    """
    device = next(backbone.parameters()).device
    try:
        with torch.no_grad():
            features = backbone(torch.zeros(1, 3, *image_size, device=device))
    except Exception as error:  # whatever a layer says of a size it can't take
        raise ValueError(f"the backbone fails on {image_size} images: {error}") from error
    if not isinstance(features, Tensor) or features.ndim != 2:
        raise ValueError("the backbone does not give one feature vector for each image")
    return features.shape[1]


def weights_hash(backbone: nn.Module) -> str:
    """SHA-256 of all weights, by name; equal for equal backbones."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

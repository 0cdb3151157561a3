"""A timm model as a feature extractor, with the normalization its weights expect."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import timm
import torch
from timm.data import resolve_model_data_config
from timm.data.constants import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    IMAGENET_INCEPTION_MEAN,
    IMAGENET_INCEPTION_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)
from torch import Tensor, nn

import agents.networks.micro_vit
import agents.networks.small_resnet  # noqa: F401  # both register models with timm
from agents.networks.model_names import timm_name
from agents.networks.weights import put_weights, read_weights
from cls_env.arguments import one_of
from cls_env.specification import lookup

NORMALISATIONS: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    "imagenet": (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD),
    "half": (IMAGENET_INCEPTION_MEAN, IMAGENET_INCEPTION_STD),
    "clip": (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""Mean and standard deviation of red, green and blue in [0, 1]; LAE (arXiv 2303.10070) feeds its ViT with none."""


def create_backbone(
    model: str, pretrained: bool, image_size: tuple[int, int], seed: int, weights: str | None = None
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
            backbone = _create(model, pretrained and tensors is None, image_size)
        except Exception as error:  # timm and the hub's client have many kinds: an unknown tag, no network, ...
            raise ValueError(f"timm can't create {model!r} for {image_size} images: {error}") from error
    patch_size = getattr(getattr(backbone, "patch_embed", None), "patch_size", (1, 1))
    if any(side % patch for side, patch in zip(image_size, patch_size, strict=True)):
        raise ValueError(f"{model} cuts images into {patch_size} patches; a size of {image_size} leaves a remainder")
    if tensors is not None:
        put_weights(backbone, tensors, f"weights file {weights} for {model} of {image_size} images")
    return backbone.eval().requires_grad_(False)


def _create(model: str, pretrained: bool, image_size: tuple[int, int]) -> nn.Module:
    try:
        return timm.create_model(model, pretrained=pretrained, num_classes=0, img_size=image_size)
    except TypeError:  # a model without a fixed image size, such as a ResNet, has no such argument
        return timm.create_model(model, pretrained=pretrained, num_classes=0)


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


class Normalize(nn.Module):
    """uint8 images as the backbone expects them: in [0, 1], minus mean, over standard deviation.

    Args:
        backbone: A timm model.
        channels_last: Whether images come as [B, H, W, 3], or as [B, 3, H, W].
        normalization: `"checkpoint"` for the mean and deviation of the model's own pretrained config, or a name in
            `NORMALISATIONS`.

    Attributes:
        mean: Of red, green and blue in [0, 1], float32 of shape (1, 3, 1, 1).
        std: Their standard deviation, likewise.

    Raises:
        ValueError: The normalization is unknown.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, channels_last: bool, normalization: str = "checkpoint") -> None:
        super().__init__()
        own = resolve_model_data_config(backbone)
        known = {"checkpoint": (own["mean"], own["std"])} | NORMALISATIONS
        mean, std = lookup("normalization", normalization, known)
        self.channels_last = channels_last
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, 3], or [B, 3, H, W] where made so, to float32 [B, 3, H, W]."""
        return self.standardize(self.channels_first(images).float() / 255)

    def channels_first(self, images: Tensor) -> Tensor:
        """[B, H, W, 3], or [B, 3, H, W] where made so, to [B, 3, H, W]."""
        return images.permute(0, 3, 1, 2) if self.channels_last else images

    def standardize(self, images: Tensor) -> Tensor:
        """float32 [B, 3, h, w] in [0, 1], minus mean, over standard deviation."""
        return (images - self.mean) / self.std


def weights_hash(backbone: nn.Module) -> str:
    """SHA-256 of all weights, by name; equal for equal backbones."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

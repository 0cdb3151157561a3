"""A frozen timm model as a feature extractor, with the normalisation its weights expect."""

from __future__ import annotations

import hashlib

import timm
import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn

import agents.micro_vit  # noqa: F401  # registers the embedded model with timm
from cls_env.naming import lookup


def create_backbone(model: str, pretrained: bool, image_size: tuple[int, int], seed: int) -> nn.Module:
    """Create a timm model without its classifier.

    Args:
        model: A timm name, such as `"vit_base_patch16_224.augreg_in21k"`, or the embedded `"vit_micro_patch8_32"`.
        pretrained: Whether to load the weights that belong to the name, or to draw random ones from the seed.
        image_size: Height and width of the images.
        seed: Fixes random weights; the global random state is left as it was.

    Returns:
        The model in eval mode, without gradients.

    Raises:
        ValueError: timm knows no such model, or the image size does not fit its patches.
    """
    architecture = model.split(".")[0]
    lookup("model", architecture, dict.fromkeys(timm.list_models(), True))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            backbone = _create(model, pretrained, image_size)
        except Exception as error:  # timm and the hub's client have many kinds: an unknown tag, no network, ...
            raise ValueError(f"timm can't create {model!r} for {image_size} images: {error}") from error
    patch_size = getattr(getattr(backbone, "patch_embed", None), "patch_size", (1, 1))
    if any(side % patch for side, patch in zip(image_size, patch_size, strict=True)):
        raise ValueError(f"{model} cuts images into {patch_size} patches; a size of {image_size} leaves a remainder")
    return backbone.eval().requires_grad_(False)


def _create(model: str, pretrained: bool, image_size: tuple[int, int]) -> nn.Module:
    try:
        return timm.create_model(model, pretrained=pretrained, num_classes=0, img_size=image_size)
    except TypeError:  # a model without a fixed image size, such as a ResNet, has no such argument
        return timm.create_model(model, pretrained=pretrained, num_classes=0)


class Normalize(nn.Module):
    """uint8 images as the backbone expects them: in [0, 1], minus mean, over standard deviation, of its own config."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, channels_last: bool) -> None:
        super().__init__()
        config = resolve_model_data_config(backbone)
        self.channels_last = channels_last
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(config[name]).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, 3], or [B, 3, H, W] where made so, to float32 [B, 3, H, W]."""
        if self.channels_last:
            images = images.permute(0, 3, 1, 2)
        return (images.float() / 255 - self.mean) / self.std


def weights_hash(backbone: nn.Module) -> str:
    """SHA-256 of all weights, by name; equal for equal backbones."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

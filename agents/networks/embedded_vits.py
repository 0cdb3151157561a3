"""The embedded backbones, two small ViTs whose weights ship with this package, registered with timm.

`timm.create_model("vit_micro_patch8_32", pretrained=True)` loads the one for characters, `"vit_mini_patch16_64"` that
for photographs. A JSON file next to the weights says what they were trained on, and which command made them. An export
for timm contains a copy of this file, which therefore imports nothing of this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from timm.layers import PatchEmbed
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import nn

_FOLDER = Path(__file__).parent / "pretrained"


@dataclass(frozen=True)
class EmbeddedViT:
    """A backbone that ships with this package.

    Attributes:
        name: Its name in timm.
        trained_on: What it was pretrained on; the tag of its weights in timm.
        image_size: Side of its input, in pixels.
        classes: Number of classes of its pretraining.
    """

    name: str
    trained_on: str
    image_size: int
    classes: int

    @property
    def weights(self) -> Path:
        """The file of its weights."""
        return _FOLDER / f"{self.name}.safetensors"

    @property
    def card(self) -> Path:
        """The JSON file that says how they were made."""
        return self.weights.with_suffix(".json")

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """Its entry in timm's table of weights."""
        return {
            "file": str(self.weights),
            "num_classes": self.classes,
            "input_size": (3, self.image_size, self.image_size),
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "first_conv": "patch_embed.proj.0",
            "classifier": "head",
            "fixed_input_size": True,
            "license": "mit",
        }


class ConvolutionalPatchEmbed(PatchEmbed):
    """3 x 3 convolutions of stride 2 in place of one linear projection of a patch; learns sooner at equal cost.

    A patch of 8 x 8 pixels takes three of them, one of 16 x 16 takes four; the width doubles from each to the next.
    Without a normalization layer: batch statistics of a frozen backbone would drift. See Xiao et al., "Early
    Convolutions Help Transformers See Better", NeurIPS 2021.

    Args:
        patch_size: Side of a patch in pixels, a power of 2 of at least 2.
        in_chans: Channels of the images.
        embed_dim: Width of the tokens.
        **kwargs: Further arguments of timm's `PatchEmbed`.

    Raises:
        ValueError: The patch size is not a power of 2.
    """

    def __init__(self, patch_size: int = 8, in_chans: int = 3, embed_dim: int = 128, **kwargs: Any) -> None:
        super().__init__(patch_size=patch_size, in_chans=in_chans, embed_dim=embed_dim, **kwargs)
        halvings = int(patch_size).bit_length() - 1
        if halvings < 1 or self.patch_size != (2**halvings, 2**halvings):
            raise ValueError(
                f"ConvolutionalPatchEmbed halves the image several times: patch_size must be a power of 2, "
                f"not {patch_size}"
            )
        widths = [in_chans, *(embed_dim // 2**further for further in reversed(range(halvings)))]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GELU()]
        self.proj = nn.Sequential(*layers[:-1])


MICRO_VIT = EmbeddedViT("vit_micro_patch8_32", "glyphs", image_size=32, classes=274)
MINI_VIT = EmbeddedViT("vit_mini_patch16_64", "tiny_imagenet", image_size=64, classes=200)

default_cfgs = generate_default_cfgs(
    {f"{vit.name}.{vit.trained_on}": vit.pretrained_cfg for vit in (MICRO_VIT, MINI_VIT)}
)


@register_model  # type: ignore[untyped-decorator]
def vit_micro_patch8_32(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """ViT of width 128, depth 6 and 4 heads over 16 patches of 8 x 8, for characters."""
    return _vit(MICRO_VIT, pretrained, {"patch_size": 8, "embed_dim": 128, "depth": 6, "num_heads": 4} | kwargs)


@register_model  # type: ignore[untyped-decorator]
def vit_mini_patch16_64(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """ViT of width 192, depth 6 and 3 heads over 16 patches of 16 x 16, for photographs."""
    return _vit(MINI_VIT, pretrained, {"patch_size": 16, "embed_dim": 192, "depth": 6, "num_heads": 3} | kwargs)


def _vit(embedded: EmbeddedViT, pretrained: bool, arguments: dict[str, Any]) -> VisionTransformer:
    defaults = {"img_size": embedded.image_size, "embed_layer": ConvolutionalPatchEmbed}
    return build_model_with_cfg(
        VisionTransformer,
        embedded.name,
        pretrained,
        pretrained_filter_fn=checkpoint_filter_fn,
        **(defaults | arguments),
    )

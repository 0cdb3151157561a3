"""The embedded backbones, two small ViTs whose weights ship with this package, registered with timm.

`timm.create_model("vit_micro_patch8_32", pretrained=True)` loads the one for characters, `"vit_mini_patch16_64"` that
for photographs. A JSON file next to the weights says what they were trained on, and which command made them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn

from agents.networks.conv_patch_embed import ConvolutionalPatchEmbed

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

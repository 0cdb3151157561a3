"""The embedded backbone: a 1.3 M parameter ViT for 32 x 32 images, registered with timm.

`timm.create_model("vit_micro_patch8_32", pretrained=True)` loads the weights that ship with this package;
`pretrained/vit_micro_patch8_32.json` is their card, and `python -m experiments pretrain` the command that made them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from timm.layers import PatchEmbed
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import nn

MICRO_VIT = "vit_micro_patch8_32"
MICRO_VIT_WEIGHTS = Path(__file__).parent / "pretrained" / f"{MICRO_VIT}.safetensors"
MICRO_VIT_CARD = MICRO_VIT_WEIGHTS.with_suffix(".json")
MICRO_VIT_CLASSES = 274


class ConvolutionalPatchEmbed(PatchEmbed):
    """Three 3 x 3 convolutions of stride 2 in place of one linear 8 x 8 projection; learns sooner at equal cost.

    Without a normalization layer: batch statistics of a frozen backbone would drift. See Xiao et al., "Early
    Convolutions Help Transformers See Better", NeurIPS 2021.
    """

    def __init__(self, patch_size: int = 8, in_chans: int = 3, embed_dim: int = 128, **kwargs: Any) -> None:
        super().__init__(patch_size=patch_size, in_chans=in_chans, embed_dim=embed_dim, **kwargs)
        if self.patch_size != (8, 8):
            raise ValueError(
                f"ConvolutionalPatchEmbed halves the image three times: patch_size must be 8, not {patch_size}"
            )
        self.proj = nn.Sequential(
            nn.Conv2d(in_chans, embed_dim // 4, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(embed_dim // 4, embed_dim // 2, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(embed_dim // 2, embed_dim, 3, stride=2, padding=1),
        )


default_cfgs = generate_default_cfgs(
    {
        f"{MICRO_VIT}.glyphs": {
            "file": str(MICRO_VIT_WEIGHTS),
            "num_classes": MICRO_VIT_CLASSES,
            "input_size": (3, 32, 32),
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "first_conv": "patch_embed.proj.0",
            "classifier": "head",
            "fixed_input_size": True,
            "license": "mit",
        }
    }
)


@register_model  # type: ignore[untyped-decorator]
def vit_micro_patch8_32(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """ViT of width 128, depth 6 and 4 heads over 16 patches of 8 x 8, with a convolutional patch embedding."""
    architecture = {
        "img_size": 32,
        "patch_size": 8,
        "embed_dim": 128,
        "depth": 6,
        "num_heads": 4,
        "embed_layer": ConvolutionalPatchEmbed,
    }
    return build_model_with_cfg(
        VisionTransformer,
        MICRO_VIT,
        pretrained,
        pretrained_filter_fn=checkpoint_filter_fn,
        **(architecture | kwargs),
    )

"""ResNets for images of 32 x 32 pixels, registered with timm. Those of timm are made for 224 pixels.

timm's ResNets halve the image twice before their first stage; of 32 pixels the last stage would see a single one. Here
the first convolution is 3 x 3 with stride 1 and no pooling follows, so that the last feature map is 4 x 4: the usual
form for CIFAR-10 and CIFAR-100. There are no pretrained weights.
"""

from __future__ import annotations

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import nn

STEM_WIDTH = 64


class SmallResNet(ResNet):
    """A ResNet whose stem keeps the image's size."""

    def __init__(self, block: type[nn.Module], layers: tuple[int, ...], in_chans: int = 3, **kwargs: Any) -> None:
        super().__init__(block, layers, in_chans=in_chans, **kwargs)
        self.conv1 = nn.Conv2d(in_chans, STEM_WIDTH, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.maxpool = nn.Identity()
        for stage in self.feature_info:
            stage["reduction"] = max(1, stage["reduction"] // 4)


_CONFIG = {"input_size": (3, 32, 32), "pool_size": (4, 4), "crop_pct": 1.0, "first_conv": "conv1", "classifier": "fc"}
default_cfgs = generate_default_cfgs({"resnet18_32": _CONFIG, "resnet50_32": _CONFIG})


@register_model  # type: ignore[untyped-decorator]
def resnet18_32(pretrained: bool = False, **kwargs: Any) -> SmallResNet:
    """ResNet-18 for 32 x 32 pixels: 11.17 M parameters without classifier."""
    architecture = {"block": BasicBlock, "layers": (2, 2, 2, 2)}
    return build_model_with_cfg(SmallResNet, "resnet18_32", pretrained, **(architecture | kwargs))


@register_model  # type: ignore[untyped-decorator]
def resnet50_32(pretrained: bool = False, **kwargs: Any) -> SmallResNet:
    """ResNet-50 for 32 x 32 pixels: 23.50 M parameters without classifier."""
    architecture = {"block": Bottleneck, "layers": (3, 4, 6, 3)}
    return build_model_with_cfg(SmallResNet, "resnet50_32", pretrained, **(architecture | kwargs))

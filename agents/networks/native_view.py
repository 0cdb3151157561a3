"""The test view of a checkpoint: size, central crop and interpolation in timm's configuration."""

from __future__ import annotations

from typing import Any, NamedTuple

import timm
from timm.data import resolve_data_config
from torch import nn

import agents.networks.embedded_vits
import agents.networks.small_resnet  # noqa: F401  # both register models with timm
from agents.networks.model_names import timm_name
from cls_env.arguments import one_of


class NativeView(NamedTuple):
    """The test view of a checkpoint.

    Attributes:
        size: Side in pixels.
        crop_fraction: Side of the central crop over that of the resized image, at most 1. For larger values timm pads
            the image with black, which is not done here.
        interpolation: Of resizing: bicubic or bilinear.
    """

    size: int
    crop_fraction: float
    interpolation: str


def native_view(model: str) -> NativeView:
    """The test view of a timm model's weights, with timm's defaults for missing entries.

    Raises:
        ValueError: timm knows no such model, or it is of another collection.
    """
    model = timm_name(model)
    one_of("model", model.split(".")[0], timm.list_models())
    try:
        config = timm.get_pretrained_cfg(model)
    except RuntimeError as error:
        raise ValueError(f"timm knows {model.split('.')[0]!r}, but not the weights {model!r}: {error}") from error
    return _view({} if config is None else config.to_dict())


def view_of(backbone: nn.Module) -> NativeView:
    """The test view of a timm model."""
    return _view(getattr(backbone, "pretrained_cfg", {}))


def _view(config: dict[str, Any]) -> NativeView:
    own = resolve_data_config(pretrained_cfg={"input_size": (3, 224, 224)} | config)
    return NativeView(int(own["input_size"][-1]), min(1.0, float(own["crop_pct"])), str(own["interpolation"]))

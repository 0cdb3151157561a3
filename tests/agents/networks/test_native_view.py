"""What checkpoints were made to see, by timm's configurations of them."""

from __future__ import annotations

import numpy as np
import pytest
import timm
from gymnasium import spaces
from torch import nn

from agents import ViTFeatures, ViTPolicy
from agents.networks.native_view import native_view, view_of

CHECKPOINTS = {
    "vit_micro_patch8_32": (32, 1.0, "bicubic"),
    "vit_base_patch16_224.augreg_in21k_ft_in1k": (224, 0.9, "bicubic"),
    "hf-hub:timm/vit_base_patch14_dinov2.lvd142m": (518, 1.0, "bicubic"),
    "resnet50_32": (32, 1.0, "bicubic"),
    "dla34.in1k": (224, 0.875, "bilinear"),
    "eca_nfnet_l0": (224, 0.9, "bicubic"),
}


@pytest.mark.parametrize("model", CHECKPOINTS)
def test_view_is_that_of_timms_configuration(model: str) -> None:
    assert native_view(model) == CHECKPOINTS[model]


def test_a_frame_around_the_image_is_no_crop() -> None:
    framed = next(name for name in timm.list_pretrained("*") if (timm.get_pretrained_cfg(name).crop_pct or 0) > 1)
    assert native_view(framed).crop_fraction == 1.0


def test_a_model_without_configuration_has_timms_defaults() -> None:
    assert view_of(nn.Identity()) == (224, 0.875, "bicubic")


SPACE = spaces.Box(0, 255, (40, 40, 3), np.uint8)
SMALL = {"model": "test_vit.r160_in1k", "pretrained": False, "input_size": 32, "blocks": (0,)}


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({}, (0.95, "bicubic")),
        ({"crop_fraction": 0.875, "interpolation": "bilinear"}, (0.875, "bilinear")),
        ({"model": "vit_micro_patch8_32"}, (1.0, "bicubic")),
    ],
    ids=["checkpoint", "given", "embedded"],
)
def test_policies_and_features_see_what_their_checkpoint_did(
    changes: dict[str, object], seen: tuple[float, str]
) -> None:
    entries = SMALL | changes
    policy = ViTPolicy(SPACE, spaces.Discrete(2), lambda _: 1e-3, **entries)
    for made in (policy.network, ViTFeatures(SPACE, **entries)):
        view = made.preprocessing.view
        assert (view.crop_fraction, view.interpolation) == seen


def test_other_interpolations_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown interpolation 'cubic'; did you mean 'bicubic'"):
        ViTFeatures(SPACE, interpolation="cubic")

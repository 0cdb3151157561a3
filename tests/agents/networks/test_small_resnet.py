"""ResNets for images of 32 x 32 pixels."""

from __future__ import annotations

import pytest
import timm
import torch

from agents.networks.backbone import create_backbone, feature_width


@pytest.mark.parametrize(
    ("model", "parameters", "width"), [("resnet18_32", 11_168_832, 512), ("resnet50_32", 23_500_352, 2048)]
)
def test_last_stage_of_small_images_sees_4_x_4(model: str, parameters: int, width: int) -> None:
    backbone = create_backbone(model, pretrained=False, image_size=(32, 32), seed=0)
    assert sum(tensor.numel() for tensor in backbone.parameters()) == parameters
    with torch.no_grad():
        assert backbone.forward_features(torch.zeros(1, 3, 32, 32)).shape == (1, width, 4, 4)
    assert feature_width(backbone, (32, 32)) == width
    assert [stage["reduction"] for stage in backbone.feature_info] == [1, 1, 2, 4, 8]


def test_one_image_is_a_batch_to_learn_from() -> None:
    model = timm.create_model("resnet18_32", num_classes=10).train()
    model(torch.rand(1, 3, 32, 32))[0, 3].backward()
    assert model.conv1.weight.grad.abs().sum() > 0


def test_there_are_no_pretrained_weights() -> None:
    with pytest.raises(ValueError, match="timm can't create 'resnet18_32'"):
        create_backbone("resnet18_32", pretrained=True, image_size=(32, 32), seed=0)

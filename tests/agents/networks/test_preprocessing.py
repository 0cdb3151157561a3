from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import ViTPolicy
from agents.networks.preprocessing import image_layout, to_space_layout
from tests.agents.policies import make_policy


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_normalisation_is_the_models(images: torch.Tensor) -> None:
    policy = make_policy()
    expected = (images.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    torch.testing.assert_close(policy.network.preprocessing(images), expected)


@pytest.mark.parametrize(
    ("normalization", "mean", "std"),
    [
        ("imagenet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("half", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("clip", (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        ("none", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ],
)
def test_normalisation_may_be_chosen(
    images: torch.Tensor, normalization: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    policy = make_policy(normalization=normalization)
    assert policy.network.preprocessing.mean.flatten().tolist() == pytest.approx(mean)
    assert policy.network.preprocessing.std.flatten().tolist() == pytest.approx(std)
    pixels = images.permute(0, 3, 1, 2).float() / 255
    expected = torch.stack([(pixels[:, rgb] - mean[rgb]) / std[rgb] for rgb in range(3)], dim=1)
    torch.testing.assert_close(policy.network.preprocessing(images), expected)


def test_channels_may_come_first(images: torch.Tensor) -> None:
    last = make_policy()
    first = ViTPolicy(spaces.Box(0, 255, (3, 32, 32), np.uint8), spaces.Discrete(6), lambda _: 1e-3)
    with torch.no_grad():
        torch.testing.assert_close(first.features(images.permute(0, 3, 1, 2)), last.features(images))


def test_other_spaces_are_refused() -> None:
    with pytest.raises(ValueError, match="the ViT sees uint8"):
        ViTPolicy(spaces.Box(0, 1, (32, 32, 3)), spaces.Discrete(3), lambda _: 1e-3)
    with pytest.raises(ValueError, match="Discrete"):
        ViTPolicy(spaces.Box(0, 255, (32, 32, 3), np.uint8), spaces.MultiDiscrete([2, 2]), lambda _: 1e-3)
    with pytest.raises(ValueError, match="leaves a remainder"):
        ViTPolicy(spaces.Box(0, 255, (38, 38, 3), np.uint8), spaces.Discrete(3), lambda _: 1e-3)


def test_larger_images_resize_the_position_embedding() -> None:
    policy = ViTPolicy(spaces.Box(0, 255, (48, 48, 3), np.uint8), spaces.Discrete(3), lambda _: 1e-3)
    assert policy.features(torch.zeros(1, 48, 48, 3, dtype=torch.uint8)).shape == (1, 128)


def test_another_view_replaces_the_default_one(images: torch.Tensor) -> None:
    preprocessing = make_policy(normalization="imagenet").network.preprocessing
    cropped = preprocessing(images, view=lambda planes: planes[..., :16, :8] / 255)
    torch.testing.assert_close(cropped, preprocessing(images)[..., :16, :8])


@pytest.mark.parametrize("shape", [(32, 24, 3), (3, 32, 24)])
def test_images_of_an_environment_are_put_into_the_layout_of_a_space(shape: tuple[int, ...]) -> None:
    space = spaces.Box(0, 255, shape, np.uint8)
    assert image_layout(space) == (shape[0] == 3, (32, 24))
    assert to_space_layout(torch.zeros(5, 32, 24, 3, dtype=torch.uint8), space).shape == (5, *shape)

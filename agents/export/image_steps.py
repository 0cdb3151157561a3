"""How an image file becomes an input of the backbone, in terms of Pillow and timm."""

from __future__ import annotations

from typing import NamedTuple

from agents.networks.preprocessing import Preprocessing, image_layout
from agents.policy import ViTPolicy
from cls_env.datasets.files.decoding import Decoding


class ImageSteps(NamedTuple):
    """The steps from an image file to the policy's test view. Sizes are width and height, as Pillow has them.

    Attributes:
        gray: Whether the policy sees gray images.
        stored: Size of the images that the policy observes; a file is cropped to this shape and resized to it.
        resized: The size that a stored image is resized to; the same as `stored` if its view is the whole image.
        box: The part of the resized image that is the view: left, upper, right and lower side.
        decoding: How a file becomes a stored image.
        interpolation: Interpolation of the resizing from `stored` to `resized`.
        crop_pct: Side of the view over that of the resized image, as timm has it.
        mean: Mean of red, green and blue, in [0, 1].
        std: Their standard deviation.
    """

    gray: bool
    stored: tuple[int, int]
    resized: tuple[int, int]
    box: tuple[int, int, int, int]
    decoding: Decoding
    interpolation: str
    crop_pct: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the view."""
        left, upper, right, lower = self.box
        return right - left, lower - upper


def image_steps(policy: ViTPolicy, decoding: Decoding | None = None) -> ImageSteps:
    """The steps of a policy, whose test view is a `CentralView` of the images that it observes.

    Args:
        policy: The policy.
        decoding: How its training images were decoded. By default with the default options of `Decoding`.
    """
    space = policy.network.observation_space
    channels_first, (height, width) = image_layout(space)
    channels = (space.shape or ())[0 if channels_first else 2]
    preprocessing: Preprocessing = policy.network.preprocessing
    view = preprocessing.view
    whole = view.size == (height, width)
    decoding = decoding or Decoding(min(height, width))
    shorter = min(height, width) if whole else int(min(view.size) / view.crop_fraction)
    resized = _with_shorter_side(shorter, width, height)
    left, upper = _margin(resized[0], view.size[1]), _margin(resized[1], view.size[0])
    return ImageSteps(
        gray=channels == 1,
        stored=(width, height),
        resized=resized,
        box=(left, upper, left + view.size[1], upper + view.size[0]),
        decoding=decoding,
        interpolation=decoding.interpolation if whole else view.interpolation,
        crop_pct=1.0 if whole else view.crop_fraction,
        mean=tuple(preprocessing.mean.flatten().tolist()),
        std=tuple(preprocessing.std.flatten().tolist()),
    )


def _with_shorter_side(shorter: int, width: int, height: int) -> tuple[int, int]:
    """The size of an image after torchvision's `resize` to a shorter side."""
    longer = int(shorter * max(width, height) / min(width, height))
    return (shorter, longer) if width <= height else (longer, shorter)


def _margin(length: int, cropped: int) -> int:
    """Where torchvision's `center_crop` begins; it pads a side that is too short."""
    return round((length - cropped) / 2) if length >= cropped else -((cropped - length) // 2)

"""Views of an image: a random crop in training, the center at test. Both map uint8 pixels to [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2.functional import center_crop, resize

from agents.networks.uploads import upload_small
from cls_env.arguments import as_plain, number, pair_of_numbers, range_of_areas, word
from cls_env.specification import lookup

TRIES = 10
INTERPOLATIONS = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}
MIDDLE_LEVEL = 128
_PRODUCTS = "bih,bchw,bjw->bcij"


class TrainView(nn.Module):
    """Random resized crop and horizontal flip, drawn anew for each image of the batch.

    It runs batched on the images' device; the random numbers come from a CPU generator, so that every device gets the
    same views.

    Source: arXiv 2602.14078, protocol.

    Args:
        size: Side of the view, or its height and width, in pixels.
        scale: Smallest and largest share of the image's area that a crop has, uniform in between.
        ratio: Smallest and largest width / height of a crop, log-uniform in between.
        flip: Probability of a mirrored view.

    Raises:
        ValueError: An argument is out of range.

    >>> images = torch.full((8, 3, 40, 30), 255, dtype=torch.uint8)
    >>> TrainView(size=32)(images, torch.Generator().manual_seed(0)).shape
    torch.Size([8, 3, 32, 32])
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.05, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
    ) -> None:
        super().__init__()
        self.size = _height_and_width(size)
        self.scale, self.ratio = range_of_areas("scale", scale), pair_of_numbers("ratio", ratio)
        self.flip = number("flip", flip)
        if not 0 < self.ratio[0] <= self.ratio[1] < float("inf"):
            raise ValueError(f"ratio holds two values of width / height, 0 < smallest <= largest, not {ratio}")
        if not 0 <= self.flip <= 1:
            raise ValueError(f"flip is a probability in [0, 1], not {flip}")

    def forward(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """One view of each image.

        Args:
            images: uint8 [B, C, H, W] of any size and on any device.
            generator: Draws the views; lives on the CPU. The global random state stays as it is.

        Returns:
            float32 [B, C, height, width] in [0, 1], on the images' device. Under autocast on a GPU it is computed in
            float16, see `resized_crops`.

        Raises:
            ValueError: The images have another shape or dtype.
        """
        _require_images(images)
        count, _, height, width = images.shape
        crops = random_crops(count, height, width, self.scale, self.ratio, generator)
        mirrored = torch.rand(count, generator=generator) < self.flip
        half = images.is_cuda and torch.is_autocast_enabled("cuda")
        return resized_crops(images, crops, mirrored, self.size, half)


class CentralView(nn.Module):
    """The center of each image: the shorter side is resized, then the middle is cropped.

    Images that have the view's size already keep their pixels, and so do those whose shorter side would be resized to
    its own length.

    Source: Resize(256) and CenterCrop(224), as LAE (ICCV 2023) has it.

    Args:
        size: Side of the view, or its height and width, in pixels.
        crop_fraction: Side of the view / shorter side of the resized image; 0.875 takes 224 out of 256 pixels.
        interpolation: `"bilinear"` or `"bicubic"`, both with antialiasing.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self, size: int | tuple[int, int], crop_fraction: float = 0.875, interpolation: str = "bilinear"
    ) -> None:
        super().__init__()
        self.size = _height_and_width(size)
        self.crop_fraction = number("crop_fraction", crop_fraction)
        if not 0 < self.crop_fraction <= 1:
            raise ValueError(f"crop_fraction is a share of the side in (0, 1], not {crop_fraction}")
        self.interpolation = word("interpolation", interpolation)
        self._mode = lookup("interpolation", self.interpolation, INTERPOLATIONS)

    def forward(self, images: Tensor) -> Tensor:
        """The view of each image.

        Args:
            images: uint8 [B, C, H, W] of any size and on any device.

        Returns:
            float32 [B, C, height, width] in [0, 1], on the images' device.

        Raises:
            ValueError: The images have another shape or dtype.
        """
        _require_images(images)
        if images.shape[2:] == self.size:
            return images.float() / 255
        shorter_side = int(min(self.size) / self.crop_fraction)
        if shorter_side == min(images.shape[2:]):  # pixels stay as they are: those outside need not be converted
            return _middle(images, self.size).float() / 255
        resized = resize(images.float() / 255, [shorter_side], self._mode, antialias=True)
        return center_crop(resized, list(self.size)).clamp(0, 1)  # bicubic weights may be negative


def _middle(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The central pixels, as `center_crop` takes them, whose overhead is that of a whole view of small images."""
    room = images.shape[2] - size[0], images.shape[3] - size[1]
    if min(room) < 0:
        return center_crop(images, list(size))
    top, left = round(room[0] / 2), round(room[1] / 2)
    return images[:, :, top : top + size[0], left : left + size[1]]


def random_crops(
    count: int,
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: torch.Generator,
) -> Tensor:
    """Draw crops as torchvision's `RandomResizedCrop` does, all at once.

    A crop is the first of ten tries that fits into the image and is placed uniformly; where none fits, it is the
    largest central one within the ratio.

    Args:
        count: How many.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        scale: Smallest and largest share of the area, uniform in between.
        ratio: Smallest and largest width / height, log-uniform in between.
        generator: On the CPU.

    Returns:
        int64 [count, 4]: top, left, height, width.
    """
    image = torch.tensor([height, width])
    share, position = torch.rand(2, count, TRIES, generator=generator, dtype=torch.float64)
    area = height * width * (scale[0] + (scale[1] - scale[0]) * share)
    width_over_height = ratio[0] * (ratio[1] / ratio[0]) ** position
    tried = torch.stack([area / width_over_height, area * width_over_height], dim=2).sqrt().round().long()
    central = torch.tensor([min(height, round(width / ratio[0])), min(width, round(height * ratio[1]))]).clamp(min=1)

    candidates = torch.cat([tried, central.expand(count, 1, 2)], dim=1)
    fits = ((candidates > 0) & (candidates <= image)).all(dim=2)
    first = fits.long().argmax(dim=1)
    size = candidates[torch.arange(count), first]
    room = image - size
    placed = (torch.rand(count, 2, generator=generator, dtype=torch.float64) * (room + 1)).long()
    corner = torch.where((first < TRIES)[:, None], placed, room // 2)
    return torch.cat([corner, size], dim=1)


def resized_crops(images: Tensor, crops: Tensor, mirrored: Tensor, size: tuple[int, int], half: bool = False) -> Tensor:
    """Cut a crop of its own out of each image and resize it, bilinear with antialiasing.

    Resizing is linear and separable: a matrix for the rows and one for the columns of each image do crop, resize and
    flip at once, as in `jax.image.scale_and_translate`. torchvision's `resized_crop` gives the same pixels, but takes
    one box for the whole batch; `roi_align` and `grid_sample` take a box for each image, but let the crop's
    surroundings in at its border and don't antialias as torchvision does.

    Args:
        images: uint8 [B, C, H, W].
        crops: int64 [B, 4]: top, left, height, width, inside the image.
        mirrored: bool [B]; True flips the view from left to right.
        size: Height and width of the views, in pixels.
        half: Compute in float16 in place of float32. The error is at most 0.15 of 255 levels, less than what a cast of
            the view to bfloat16 loses.

    Returns:
        float32 [B, C, height, width] in [0, 1], on the images' device.
    """
    device = images.device
    drawn = upload_small(torch.cat([crops, mirrored[:, None]], dim=1), device)
    top, left, height, width, flipped = drawn.unbind(dim=1)
    rows = _resizing_matrices(top, height, images.shape[2], size[0])
    columns = _resizing_matrices(left, width, images.shape[3], size[1])
    columns = torch.where(flipped[:, None, None] > 0, columns.flip(1), columns)
    with torch.autocast(device.type, enabled=False):
        levels = (_weighted_in_half if half else _weighted)(rows, images, columns)
    return levels.div_(255).clamp_(0, 1)


def _weighted(rows: Tensor, images: Tensor, columns: Tensor) -> Tensor:
    """The levels R I C^T of each channel, float32."""
    return torch.einsum(_PRODUCTS, rows, images.float(), columns)


def _weighted_in_half(rows: Tensor, images: Tensor, columns: Tensor) -> Tensor:
    """As `_weighted`, from products in float16.

    Levels are counted from the middle one, since float16 is finest around 0; the weights of a pixel sum to 1.
    """
    centered = images.half().sub_(MIDDLE_LEVEL)
    return torch.einsum(_PRODUCTS, rows.half(), centered, columns.half()).float().add_(MIDDLE_LEVEL)


def _resizing_matrices(start: Tensor, length: Tensor, pixels: int, size: int) -> Tensor:
    """Weights, float32 [B, size, pixels], that make `size` pixels of the `length` ones from `start` on: a triangle."""
    start, length = start[:, None, None], length[:, None, None]
    step = length / size
    centers = start + (torch.arange(size, device=start.device)[:, None] + 0.5) * step
    pixel = torch.arange(pixels, device=start.device)
    inside = (pixel >= start) & (pixel < start + length)
    weights = (1 - (pixel + 0.5 - centers).abs() / step.clamp(min=1)).clamp(min=0) * inside
    return weights / weights.sum(dim=2, keepdim=True)


def _height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    plain = as_plain(size)
    sides = tuple(plain) if isinstance(plain, (list, tuple)) else (plain, plain)
    whole = all(isinstance(side, int) and not isinstance(side, bool) for side in sides)
    if len(sides) != 2 or not whole or min(sides) < 1:
        raise ValueError(f"size is the side of a view in pixels, at least 1, not {size}")
    return sides


def _require_images(images: Tensor) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3, 4):
        raise ValueError(f"images must be uint8 [B, C, H, W], not {images.dtype} {list(images.shape)}")

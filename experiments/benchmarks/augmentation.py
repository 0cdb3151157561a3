"""Speed and exactness of the batched training view against torchvision's ways to crop and resize."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torchvision.transforms.v2.functional as vision
from torch import Tensor
from torchvision.ops import roi_align

from agents.networks.views import random_crops, resized_crops
from experiments.benchmarks.data import mosaics
from experiments.benchmarks.measuring import Measurement, Side, compare_rates

Resize = Callable[[Tensor, Tensor, int], Tensor]


def benchmark_augmentation(repeats: int) -> list[Measurement]:
    """The same boxes, drawn as in training, on one CPU thread, at 256 to 224 and at 32 to 32 pixels.

    Args:
        repeats: How often each side is timed.

    Returns:
        Images a second compared with torchvision's antialiased `resized_crop` of uint8 images, in a loop, and with two
        functions that take a box for each image, `roi_align` and `grid_sample`; and the mean absolute difference of
        ours and of these two to that loop over float32 images, in levels of 255.
    """
    torch.set_num_threads(1)
    return [*_compare(8, 224, 64, repeats), *_compare(1, 32, 128, repeats)]


def _compare(tiles: int, size: int, batch_size: int, repeats: int) -> list[Measurement]:
    images = torch.from_numpy(mosaics(batch_size, tiles, tiles)).permute(0, 3, 1, 2).contiguous()
    side = images.shape[-1]
    crops = random_crops(batch_size, side, side, (0.05, 1.0), (3 / 4, 4 / 3), torch.Generator().manual_seed(0))
    exact = _torchvision_loop(images.float(), crops, size)
    setting = f"{side} to {size} px, batch {batch_size}"

    def speed(name: str, resize: Resize) -> Measurement:
        def resizing(resize: Resize) -> Side:
            return lambda: len(resize(images, crops, size))

        row = f"batched view / {name}, {setting}"
        return compare_rates(row, resizing(_batched_view), resizing(resize), "images/s", repeats)

    def difference(name: str, resize: Resize) -> Measurement:
        ours, theirs = (
            float((each(images, crops, size) - exact).abs().mean()) * 255 for each in (_batched_view, resize)
        )
        ratio = ours / theirs
        return Measurement(
            f"difference, batched view / {name}, {setting}", ratio, ours, theirs, "levels", 1, (ratio, ratio)
        )

    batched = {"roi_align": _roi_align, "grid_sample": _grid_sample}
    return [
        speed("torchvision v2 loop", _torchvision_loop),
        *(measure(name, resize) for measure in (speed, difference) for name, resize in batched.items()),
    ]


def _batched_view(images: Tensor, crops: Tensor, size: int) -> Tensor:
    return resized_crops(images, crops, torch.zeros(len(images), dtype=torch.bool), (size, size))


def _torchvision_loop(images: Tensor, crops: Tensor, size: int) -> Tensor:
    boxes = zip(images, crops.tolist(), strict=True)
    views = [vision.resized_crop(image, *box, [size, size], antialias=True) for image, box in boxes]
    return torch.stack(views).float() / 255


def _roi_align(images: Tensor, crops: Tensor, size: int) -> Tensor:
    top, left, height, width = crops.float().unbind(dim=1)
    boxes = torch.stack([torch.arange(len(images)).float(), left, top, left + width, top + height], dim=1)
    return roi_align(images.float(), boxes, size, aligned=True) / 255


def _grid_sample(images: Tensor, crops: Tensor, size: int) -> Tensor:
    top, left, height, width = crops[:, :, None].float().unbind(dim=1)
    place = (torch.arange(size) + 0.5) / size
    y = (top + place * height) * 2 / images.shape[2] - 1
    x = (left + place * width) * 2 / images.shape[3] - 1
    grid = torch.stack([x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=3)
    return torch.nn.functional.grid_sample(images.float(), grid, padding_mode="border", align_corners=False) / 255

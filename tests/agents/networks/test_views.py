from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import resized_crop

from agents.networks.views import CentralView, TrainView, random_crops, resized_crops

SCALE, RATIO = (0.05, 1.0), (3 / 4, 4 / 3)
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    return torch.randint(256, (count, 3, height, width), dtype=torch.uint8, generator=generator(seed))


def torchvision_crops(
    count: int, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> Tensor:
    transform, image = v2.RandomResizedCrop(8, scale, ratio), torch.empty(3, height, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = [transform.make_params([image]) for _ in range(count)]
    return torch.tensor([[box[side] for side in ("top", "left", "height", "width")] for box in drawn])


def torchvision_views(images: Tensor, crops: Tensor, size: int) -> Tensor:
    boxes = zip(images, crops.tolist(), strict=True)
    return torch.stack([resized_crop(image, *box, [size, size], antialias=True) for image, box in boxes]).float() / 255


@pytest.mark.parametrize(
    ("height", "width", "ratio"), [(256, 256, RATIO), (32, 32, RATIO), (60, 100, (0.4, 1.0)), (90, 30, RATIO)]
)
def test_crops_are_distributed_as_torchvisions(height: int, width: int, ratio: tuple[float, float]) -> None:
    # Of 16 true hypotheses none fails these bounds in 98 of 100 cases.
    ours = random_crops(8000, height, width, SCALE, ratio, generator()).double()
    theirs = torchvision_crops(8000, height, width, SCALE, ratio).double()
    for measure in (
        lambda crops: crops[:, 2] * crops[:, 3] / (height * width),
        lambda crops: (crops[:, 3] / crops[:, 2]).log(),
        lambda crops: crops[:, 0] / (height - crops[:, 2] + 1),
        lambda crops: crops[:, 1] / (width - crops[:, 3] + 1),
    ):
        mine, other = measure(ours), measure(theirs)
        standard_error = ((mine.var() + other.var()) / len(mine)).sqrt()
        assert abs(mine.mean() - other.mean()) < 3.5 * standard_error
        assert ks_2samp(mine.numpy(), other.numpy()).pvalue > 0.001


@pytest.mark.parametrize("sides", [(256, 256), (7, 40), (1, 1)])
def test_crops_lie_inside_the_image(sides: tuple[int, int]) -> None:
    corner, size = random_crops(5000, *sides, SCALE, RATIO, generator()).split(2, dim=1)
    assert (corner >= 0).all() and (size >= 1).all() and (corner + size <= torch.tensor(sides)).all()
    reached = corner + size == torch.tensor(sides)
    assert reached.any(dim=0).all() and (corner == 0).any(dim=0).all()


@pytest.mark.parametrize(
    ("height", "width", "ratio"),
    [(400, 100, RATIO), (100, 400, RATIO), (33, 10, RATIO), (100, 100, RATIO), (100, 100, (1.2, 1.3))],
)
def test_where_no_crop_fits_it_is_torchvisions_central_one(height: int, width: int, ratio: tuple[float, float]) -> None:
    crops = random_crops(20, height, width, (1.0, 1.0), ratio, generator())
    assert torch.equal(crops, torchvision_crops(20, height, width, (1.0, 1.0), ratio))


def test_a_line_of_pixels_still_gives_a_crop() -> None:
    assert random_crops(1, 1, 1, (1.0, 1.0), (3.0, 4.0), generator()).tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(256, 256, 224), (32, 32, 32), (96, 96, 32), (50, 21, 64), (21, 50, 17)],
)
def test_views_have_torchvisions_pixels(height: int, width: int, size: int) -> None:
    images = noise(24, height, width)
    crops = random_crops(24, height, width, SCALE, RATIO, generator())
    views = resized_crops(images, crops, torch.zeros(24, dtype=torch.bool), (size, size))
    torch.testing.assert_close(views, torchvision_views(images.float(), crops, size), rtol=0, atol=1e-4)
    rounded = torchvision_views(images, crops, size)
    assert (views - rounded).abs().max() <= 1.01 / 255
    assert (views - rounded).abs().mean() <= 0.35 / 255


@pytest.mark.parametrize("levels", ["random", "extreme", "white"])
@pytest.mark.parametrize(("side", "size"), [(256, 224), (32, 32), (40, 64)])
def test_views_in_half_precision_differ_by_less_than_bfloat16_does(levels: str, side: int, size: int) -> None:
    images = {
        "random": noise(8, side, side),
        "extreme": (noise(8, side, side) > 127).to(torch.uint8) * 255,
        "white": torch.full((8, 3, side, side), 255, dtype=torch.uint8),
    }[levels]
    crops = random_crops(8, side, side, SCALE, RATIO, generator())
    mirrored = torch.arange(8) % 2 == 0
    single, half = (resized_crops(images, crops, mirrored, (size, size), half) for half in (False, True))
    assert half.dtype == torch.float32 and half.min() >= 0 and half.max() <= 1
    assert 255 * (half - single).abs().max() <= 0.15
    assert not torch.equal(half, single) or levels == "white"


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_whole_image_at_its_size_stays_as_it_is(channels_last: bool) -> None:
    images = noise(4, 32, 32)
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    view = TrainView(32, scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0)
    assert torch.equal(view(images, generator()), images.float() / 255)


def test_each_image_has_a_crop_of_its_own() -> None:
    images = noise(1, 40, 40).expand(64, -1, -1, -1)
    views = TrainView(16, flip=0.0)(images, generator())
    assert len({view.numpy().tobytes() for view in views}) == 64


@pytest.mark.parametrize("device", DEVICES)
def test_the_seed_alone_fixes_the_views(device: str) -> None:
    images, view = noise(16, 40, 30), TrainView(24)
    expected = view(images, generator())
    again = view(images.to(device), generator())
    assert again.device.type == device
    torch.testing.assert_close(again.cpu(), expected, rtol=0, atol=1e-5)
    assert not torch.isclose(view(images.to(device), generator(1)).cpu(), expected).flatten(1).all(dim=1).any()


def test_a_generator_goes_on_and_the_global_random_state_stays() -> None:
    images, view, draws = noise(8, 20, 20), TrainView(16), generator()
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    assert not torch.equal(view(images, draws), view(images, draws))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("flip", [0.0, 0.5, 0.9, 1.0])
def test_flipped_views_are_mirrors_and_have_their_share(flip: float) -> None:
    images = noise(4000, 8, 8)
    plain = TrainView(6, flip=0.0)(images, generator())
    views = TrainView(6, flip=flip)(images, generator())
    same, mirrored = (
        torch.isclose(views, other, rtol=0, atol=1e-6).flatten(1).all(dim=1) for other in (plain, plain.flip(3))
    )
    assert (same | mirrored).all()
    assert abs(mirrored.float().mean().item() - flip) <= 3 * (flip * (1 - flip) / 4000) ** 0.5


@pytest.mark.parametrize(
    "views",
    [TrainView(24), CentralView(24), CentralView(24, interpolation="bicubic")],
    ids=["train", "test", "bicubic"],
)
@pytest.mark.parametrize(("height", "width"), [(24, 24), (10, 12), (70, 31), (1, 1)])
def test_views_are_float32_between_0_and_1(views: Any, height: int, width: int) -> None:
    images = torch.cat([noise(6, height, width), torch.full((6, 3, height, width), 255, dtype=torch.uint8)])
    arguments = (images, generator()) if isinstance(views, TrainView) else (images,)
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            result = views(*arguments)
        assert result.dtype == torch.float32 and result.shape == (12, 3, 24, 24)
        assert result.min() >= 0 and result.max() <= 1
        torch.testing.assert_close(result[6:], torch.ones(6, 3, 24, 24), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("height", "width", "size", "fraction", "resized"),
    [
        (256, 256, 224, 0.875, 256),
        (256, 300, 224, 0.875, 256),
        (32, 32, 224, 0.875, 256),
        (90, 61, 32, 0.8, 40),
        (20, 45, 32, 1.0, 32),
    ],
)
def test_test_view_resizes_and_cuts_the_centre_as_torchvision_does(
    height: int, width: int, size: int, fraction: float, resized: int
) -> None:
    images = noise(3, height, width)
    expected = v2.Compose([v2.Resize(resized, antialias=True), v2.CenterCrop(size)])
    views = CentralView(size, fraction)(images)
    torch.testing.assert_close(views, expected(images.float()) / 255, rtol=0, atol=1e-6)
    cubic = v2.Compose([v2.Resize(resized, v2.InterpolationMode.BICUBIC, antialias=True), v2.CenterCrop(size)])
    smooth = CentralView(size, fraction, "bicubic")(images)
    torch.testing.assert_close(smooth, (cubic(images.float()) / 255).clamp(0, 1), rtol=0, atol=1e-6)
    assert (views - expected(images).float() / 255).abs().max() <= 1.01 / 255


def test_test_view_keeps_images_of_its_size() -> None:
    images = noise(3, 32, 32)
    assert torch.equal(CentralView(32)(images), images.float() / 255)
    assert torch.equal(CentralView(28)(images), images[:, :, 2:30, 2:30].float() / 255)


@pytest.mark.parametrize(
    ("view", "arguments", "message"),
    [
        (TrainView, {"size": 0}, "size is the side of a view in pixels, at least 1, not 0"),
        (TrainView, {"size": 8, "scale": (0.0, 1.0)}, r"scale holds two shares of the area.*not \(0.0, 1.0\)"),
        (TrainView, {"size": 8, "scale": (0.5, 0.2)}, "scale holds"),
        (TrainView, {"size": 8, "scale": (0.5, 1.2)}, "scale holds"),
        (TrainView, {"size": 8, "ratio": (0.0, 1.0)}, "ratio holds two values of width / height"),
        (TrainView, {"size": 8, "ratio": (2.0, 1.0)}, "ratio holds"),
        (TrainView, {"size": 8, "ratio": (1.0, float("inf"))}, "ratio holds"),
        (TrainView, {"size": 8, "flip": 1.5}, r"flip is a probability in \[0, 1\], not 1.5"),
        (CentralView, {"size": -1}, "size is the side of a view"),
        (CentralView, {"size": 8, "crop_fraction": 0.0}, "crop_fraction is a share of the side"),
        (CentralView, {"size": 8, "crop_fraction": 1.1}, "crop_fraction is a share of the side"),
        (CentralView, {"size": 8, "interpolation": "lanczos"}, "unknown interpolation 'lanczos'"),
    ],
)
def test_bad_arguments_are_named(view: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        view(**arguments)


@pytest.mark.parametrize(
    ("images", "shown"),
    [
        (torch.zeros(2, 3, 8, 8), r"not torch.float32 \[2, 3, 8, 8\]"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), r"not torch.uint8 \[2, 8, 8, 3\]"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), r"not torch.uint8 \[3, 8, 8\]"),
    ],
)
def test_other_images_are_refused(images: Tensor, shown: str) -> None:
    for see in (lambda: TrainView(8)(images, generator()), lambda: CentralView(8)(images)):
        with pytest.raises(ValueError, match=r"images must be uint8 \[B, C, H, W\], " + shown):
            see()

"""Odd images: malformed, transparent, of few bits, of several frames, very large."""

from __future__ import annotations

import io
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cls_env import load_dataset
from cls_env.datasets.files.decoding import TreeReader, read_square
from cls_env.datasets.files.trees import open_tree
from cls_env.datasets.storage.store_build import StoreOptions

pytestmark = pytest.mark.long


def folders(root: Path, suffix: str, make: object, count: int = 4) -> Path:
    for name in ("bar", "cross"):
        (root / name).mkdir(parents=True)
        for index in range(count):
            make(name).save(root / name / f"{index}{suffix}")  # type: ignore[operator]
    return root


def drawing(mode: str) -> object:
    """Black ink on a transparent ground."""

    def make(name: str) -> Image.Image:
        image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
        line = (2, 8, 14, 8) if name == "bar" else (2, 2, 14, 14)
        ImageDraw.Draw(image).line(line, fill=(0, 0, 0, 255), width=2)
        return image.convert(mode)

    return make


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_ink_on_a_transparent_ground_stays(tmp_path: Path, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = folders(tmp_path / "set", ".png" if mode != "PA" else ".tif", drawing(mode if mode != "PA" else "RGBA"))
    white = load_dataset("folder", root=root, image_size=16, test_fraction=0.25)
    assert {int(value) for value in np.unique(white.train_images)} == {0, 255}
    assert len(np.unique(white.train_images[:].reshape(6, -1), axis=0)) == 2
    assert "8 images: transparent, shown on the background white" in capsys.readouterr().err
    grey = load_dataset("folder", root=root, image_size=16, test_fraction=0.25, background="#404040")
    assert int(grey.train_images[0, 0, 0, 0]) == 0x40
    with pytest.raises(ValueError, match="background must be a color such as 'white' or '#202020', not 'whitish'"):
        load_dataset("folder", root=root, test_fraction=0.25, background="whitish")


def test_interpolations_have_stores_of_their_own(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    root = folders(tmp_path / "set", ".png", lambda name: Image.fromarray(pixels))
    sets = {
        name: load_dataset("folder", root=root, image_size=24, test_fraction=0.25, interpolation=name)
        for name in ("bicubic", "bilinear")
    }
    usual = load_dataset("folder", root=root, image_size=24, test_fraction=0.25)
    assert usual.path == sets["bicubic"].path != sets["bilinear"].path
    assert usual.images_sha256 != sets["bilinear"].images_sha256
    expected = Image.fromarray(pixels).resize((24, 24), Image.Resampling.BILINEAR)
    assert (sets["bilinear"].train_images == np.asarray(expected)).all()
    with pytest.raises(ValueError, match="unknown interpolation 'lanczos'"):
        load_dataset("folder", root=root, test_fraction=0.25, interpolation="lanczos")


def test_bicubic_stores_keep_the_identity_from_before_there_were_others() -> None:
    earlier = ["image_size", "resize", "on_error", "background", "bit_depth", "max_pixels"]
    assert list(StoreOptions(image_size=16).identity) == earlier
    assert StoreOptions(image_size=16, interpolation="bilinear").identity["interpolation"] == "bilinear"


def test_colours_hidden_under_transparency_stay_hidden(tmp_path: Path) -> None:
    hidden = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    palette = hidden.convert("P")
    for image, file in ((hidden, "x.png"), (palette, "p.png")):
        image.save(tmp_path / file, transparency=palette.getpixel((0, 0)) if file == "p.png" else None)
        facts: Counter[str] = Counter()
        pixels = read_square(TreeReader(open_tree(tmp_path)), file, 8, facts=facts)
        assert (pixels == 255).all() and facts == {"transparent": 1}


def jpeg_with_exif(orientation: int, pixels: np.ndarray) -> bytes:
    """An exposure of -1 / 0 behind a sound orientation, which Pillow can't write again."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    number = lambda value: struct.pack("<I", value)  # noqa: E731
    exif = b"II*\0" + number(8) + struct.pack("<H", 2) + struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    exif += struct.pack("<HHII", 0x9204, 10, 1, 38) + number(0) + struct.pack("<ii", -1, 0)
    segment = b"Exif\0\0" + exif
    content = stream.getvalue()
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + content[2:]


def test_malformed_exif_costs_no_image(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 3), dtype=np.uint8)
    pixels[:8] = 255  # bright above
    (tmp_path / "x.jpg").write_bytes(jpeg_with_exif(3, pixels))
    turned = read_square(TreeReader(open_tree(tmp_path)), "x.jpg", 16)
    assert turned[:6].max() < 30 and turned[-6:].min() > 225


def test_random_exif_blocks_cost_no_image(tmp_path: Path) -> None:
    """Of such blocks a fifth made Pillow raise one of four kinds of error when it wrote them anew."""
    random = np.random.default_rng(0)
    sound = jpeg_with_exif(6, np.zeros((8, 8, 3), dtype=np.uint8))
    place = sound.index(b"II*\0")
    reader = TreeReader(open_tree(tmp_path))
    facts: Counter[str] = Counter()
    for _ in range(300):
        content = bytearray(sound)
        changed = random.integers(place, place + 46, size=8)
        content[:] = bytes(
            int(random.integers(256)) if position in changed and position > place + 3 else value
            for position, value in enumerate(content)
        )
        (tmp_path / "x.jpg").write_bytes(content)
        assert read_square(reader, "x.jpg", 8, facts=facts).shape == (8, 8, 3)
    assert set(facts) == {"unreadable metadata"} and facts["unreadable metadata"] > 30


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_pillows(tmp_path: Path, orientation: int) -> None:
    from PIL import ImageOps

    pixels = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "x.png")))
    assert np.array_equal(read_square(TreeReader(open_tree(tmp_path)), "x.png", 16), expected)


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n" + bytes(40), b"GIF89a" + b"\xff" * 30, b"II*\0" + b"\xff" * 60]
)
def test_whatever_pillow_raises_names_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.png can't be decoded as an image \(.+\); replace or remove it"):
        read_square(TreeReader(open_tree(tmp_path)), "x.png", 8)
    (tmp_path / "x.png").unlink()
    root = folders(tmp_path / "set", ".png", lambda name: Image.new("L", (8, 8), 9))
    (root / "bar" / "0.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"bar/0\.png can't be decoded as an image"):
        load_dataset("folder", root=root, image_size=8, test_fraction=0.25)
    dataset = load_dataset("folder", root=root, image_size=8, test_fraction=0.25, on_error="skip")
    assert dataset.left_out == {"files that can't be decoded": 1}
    assert len(dataset.train_labels) + len(dataset.test_labels) == 7


def twelve_bits(name: str) -> Image.Image:
    values = np.random.default_rng(len(name)).integers(0, 4096, (16, 16)).astype(np.uint16)
    values[0, 0] = 4095
    return Image.fromarray(values)


def test_sixteen_bits_of_which_few_are_used_are_said_and_scaled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folders(tmp_path / "set", ".png", twelve_bits)
    dark = load_dataset("folder", root=root, image_size=16, test_fraction=0.25)
    assert dark.train_images[:].max() == 15
    remark = "16 bits, of which only 12 are used; bit_depth=12 makes them brighter"
    assert dark.remarks == {remark: 8} and f"8 images: {remark}" in capsys.readouterr().err
    scaled = load_dataset("folder", root=root, image_size=16, test_fraction=0.25, bit_depth=12)
    assert scaled.train_images[:].max() == 255 and len(np.unique(scaled.train_images[:])) > 100
    assert scaled.remarks == {}
    clipped = load_dataset("folder", root=root, image_size=16, test_fraction=0.25, bit_depth=10)
    assert clipped.remarks == {"values above bit_depth=10, which became white": 8}
    with pytest.raises(ValueError, match=r"bit_depth must be in 8 \.\.\. 16, not 17"):
        load_dataset("folder", root=root, test_fraction=0.25, bit_depth=17)


def test_dark_images_among_bright_ones_are_not_remarked(tmp_path: Path) -> None:
    def full(name: str) -> Image.Image:
        return Image.fromarray(np.full((16, 16), 65535 if name == "bar" else 900, dtype=np.uint16))

    root = folders(tmp_path / "set", ".png", full)
    assert load_dataset("folder", root=root, image_size=16, test_fraction=0.25).remarks == {}


def test_further_frames_are_said(tmp_path: Path) -> None:
    for name in ("bar", "cross"):
        (tmp_path / name).mkdir()
        for index in range(4):
            frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (200, 100)]
            frames[0].save(tmp_path / name / f"{index}.gif", save_all=True, append_images=frames[1:])
    dataset = load_dataset("folder", root=tmp_path, image_size=8, test_fraction=0.25)
    assert dataset.remarks == {"several frames, of which the first was taken": 8}
    assert int(dataset.train_images[0, 0, 0, 0]) > 180


def test_very_large_images_are_refused_or_allowed(tmp_path: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(tmp_path / "x.png")
    reader, usual = TreeReader(open_tree(tmp_path)), Image.MAX_IMAGE_PIXELS
    with pytest.raises(ValueError, match=r"x\.png has more than 178,956,970 pixels: raise max_pixels, or remove it"):
        read_square(reader, "x.png", 8)
    assert read_square(reader, "x.png", 8, max_pixels=200_000_000).shape == (8, 8, 3)
    with pytest.raises(ValueError, match="more than 1,000 pixels"):
        read_square(reader, "x.png", 8, max_pixels=1_000)
    assert usual == Image.MAX_IMAGE_PIXELS

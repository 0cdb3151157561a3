from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cls_env import load_dataset
from cls_env.datasets.files.decoding import TreeReader, read_square
from cls_env.datasets.files.trees import open_tree


@pytest.fixture
def tree(image_tree: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(image_tree, tmp_path / "tree"))


def read(file: Path, image_size: int) -> np.ndarray:
    return read_square(TreeReader(open_tree(file.parent)), file.name, image_size)


def test_tree_is_read_class_by_class(image_tree: Path) -> None:
    dataset = load_dataset("folder", root=image_tree, image_size=16)
    assert dataset.class_names == ("apple", "brücke", "cat", "dog")
    assert dataset.train_images.shape == (24, 16, 16, 3)
    assert dataset.test_labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3


def test_zip_equals_tree(image_tree: Path, image_zip: Path) -> None:
    tree, archive = (load_dataset("folder", root=root) for root in (image_tree, image_zip))
    assert tree.class_names == archive.class_names
    assert np.array_equal(tree.train_images, archive.train_images)
    assert np.array_equal(tree.test_labels, archive.test_labels)


def test_single_top_folder_of_a_zip_is_entered(image_tree: Path, tmp_path: Path) -> None:
    archive = tmp_path / "nested.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        for file in sorted(image_tree.rglob("*.png")):
            writer.write(file, Path("photos") / file.relative_to(image_tree))
    assert len(load_dataset("folder", root=archive).train_images) == 24


def test_image_of_the_right_size_is_kept_to_the_pixel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, size=(32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    assert np.array_equal(read(tmp_path / "x.png", 32), pixels)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "1", "LA"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    file = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    red = (255, 0, 0) if mode in ("P", "CMYK", "RGBA") else (255, 255, 255)
    Image.new("RGB", (8, 8), red).convert(mode).save(file)
    assert np.array_equal(read(file, 8), np.full((8, 8, 3), red, dtype=np.uint8))


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bit_grey_is_scaled(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"x.{suffix}"
    if suffix == "pgm":
        file.write_bytes(b"P5 8 8 65535\n" + np.full((8, 8), 0x8000, dtype=">u2").tobytes())
    else:
        Image.fromarray(np.full((8, 8), 0x8000, dtype=np.uint16)).save(file)
    assert np.array_equal(read(file, 8), np.full((8, 8, 3), 128, dtype=np.uint8))


def test_thin_image_is_padded(tmp_path: Path) -> None:
    Image.new("RGB", (1000, 1), (9, 9, 9)).save(tmp_path / "x.png")
    image = read_square(TreeReader(open_tree(tmp_path)), "x.png", 16, "pad")
    assert image.shape == (16, 16, 3) and (image == 9).all(axis=(1, 2)).sum() == 1


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_without_a_range_are_refused(tmp_path: Path, dtype: type) -> None:
    Image.fromarray(np.zeros((8, 8), dtype=dtype)).save(tmp_path / "x.tiff")
    with pytest.raises(ValueError, match=r"x\.tiff can't be decoded.*32-bit"):
        read(tmp_path / "x.tiff", 8)


def test_changed_tree_is_read_anew_and_subfolders_count(tree: Path) -> None:
    assert len(load_dataset("folder", root=tree).train_images) == 24
    deeper = tree / "train" / "cat" / "more" / "even"
    deeper.mkdir(parents=True)
    shutil.copy(tree / "train" / "cat" / "0.png", deeper / "9.png")
    assert len(load_dataset("folder", root=tree).train_images) == 25


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 3), dtype=np.uint8)
    pixels[:8] = 255  # bright above
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    Image.fromarray(pixels).save(tmp_path / "x.jpg", exif=exif, quality=100)
    turned = read(tmp_path / "x.jpg", 16)
    assert turned[:6].max() < 20 and turned[-6:].min() > 235


def test_hidden_and_other_files_are_passed_over(tree: Path) -> None:
    (tree / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    (tree / "train" / "cat" / "notes.txt").write_text("x")
    (tree / "train" / ".git").mkdir()
    assert len(load_dataset("folder", root=tree).train_images) == 24


def test_broken_file_is_named(tree: Path) -> None:
    (tree / "train" / "cat" / "0.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"cat/0\.png can't be decoded"):
        load_dataset("folder", root=tree)


def test_truncated_file_is_named(tree: Path) -> None:
    file = tree / "train" / "dog" / "1.png"
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"dog/1\.png can't be decoded"):
        load_dataset("folder", root=tree)


def test_broken_file_in_a_zip_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "broken.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("train/a/x.png", b"nothing")
        writer.writestr("test/a/x.png", b"nothing")
    with pytest.raises(ValueError, match=r"train/a/x\.png can't be decoded"):
        load_dataset("folder", root=archive)


def test_class_of_test_that_train_lacks_is_named(tree: Path) -> None:
    shutil.copytree(tree / "test" / "cat", tree / "test" / "zebra")
    with pytest.raises(ValueError, match=r"test has classes that train lacks: zebra"):
        load_dataset("folder", root=tree)


def test_empty_class_is_named(tree: Path) -> None:
    (tree / "train" / "elk").mkdir()
    with pytest.raises(ValueError, match=r"train: class 'elk' contains no images"):
        load_dataset("folder", root=tree)


@pytest.mark.parametrize(
    ("layout", "error", "message"),
    [
        ([], ValueError, "contains no class folders with images: the layout is"),
        (["train"], FileNotFoundError, "has no folder 'test'"),
        (["train", "test"], ValueError, "train contains no class folders"),
    ],
)
def test_wrong_layouts(tmp_path: Path, layout: list[str], error: type[Exception], message: str) -> None:
    for name in layout:
        (tmp_path / name).mkdir()
    with pytest.raises(error, match=message):
        load_dataset("folder", root=tmp_path)


def test_missing_root_and_other_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_dataset("folder", root=tmp_path / "nowhere")
    (tmp_path / "x.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match="neither a folder nor a zip or tar"):
        load_dataset("folder", root=tmp_path / "x.bin")
    with pytest.raises(ValueError, match="image_size"):
        load_dataset("folder", root=tmp_path, image_size=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_fraction": "abc"}, "test_fraction of dataset 'folder' must be a number, not 'abc'"),
        ({"test_fraction": "0,2"}, "test_fraction of dataset 'folder' must be a number, not '0,2'"),
        ({"test_fraction": 0.4, "workers": "two"}, "workers of dataset 'folder' must be a whole number, not 'two'"),
        ({"domains": "yes"}, "domains of dataset 'folder' must be true or false, not 'yes'"),
        ({"train_list": 1, "test_list": 2}, "train_list must be text or a Path, not 1"),
        ({"test_fraction": 0.4, "seed": "x"}, "seed of dataset 'folder' must be a whole number, not 'x'"),
        ({"test_fraction": 0.4, "seed": -1}, "seed must be a whole number of at least 0, not -1"),
        ({"leaf_classes": 1}, "leaf_classes of dataset 'folder' must be true or false, not 1"),
        ({"class_sort": "numbers"}, "unknown class_sort 'numbers'; did you mean 'numeric'"),
        ({"root": 5}, "root must be text or a Path, not 5"),
        ({"max_pixels": 0}, "max_pixels must be a whole number of at least 1, not 0"),
        ({"test_fration": 0.2}, "did you mean 'test_fraction'"),
    ],
)
def test_wrong_arguments_are_named(tree: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_dataset("folder", **{"root": tree} | options)


def test_numpy_numbers_are_taken(tree: Path) -> None:
    options = {"image_size": np.int64(16), "workers": np.int32(1), "domains": np.bool_(False)}
    assert load_dataset("folder", root=tree, **options).train_images.shape == (24, 16, 16, 3)

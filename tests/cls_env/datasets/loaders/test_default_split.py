"""A folder of class folders is split by default, and what is wrong with a folder is said with what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cls_env import ImageDataset, load_dataset


def picture(file: Path, value: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((8, 8, 3), value % 256, dtype=np.uint8)
    pixels[0, 0] = value // 256
    Image.fromarray(pixels).save(file)


def tree(root: Path, *names: str, count: int = 10) -> Path:
    for name in names:
        for index in range(count):
            picture(root / name / f"{index}.png", 100 * sum(map(ord, name)) + index)
    return root


def held_out(dataset: ImageDataset, name: str) -> set[bytes]:
    label = dataset.class_names.index(name)
    return {image.tobytes() for image in dataset.test_images[dataset.test_labels == label]}


def load(root: Path, **options: object) -> ImageDataset:
    return load_dataset("folder", root=root, image_size=8, **options)


def test_a_fifth_of_each_class_is_held_out_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = load(tree(tmp_path, "cat", "dog"))
    assert np.bincount(dataset.train_labels).tolist() == [8, 8] and np.bincount(dataset.test_labels).tolist() == [2, 2]
    line = "4 images: 20 % of each class held out for testing (test_fraction=0.2)"
    assert line in capsys.readouterr().err
    rows = {image.tobytes() for images in (dataset.train_images, dataset.test_images) for image in images}
    assert len(rows) == 20  # nothing is in both
    assert held_out(load(tmp_path, seed=1), "cat") != held_out(dataset, "cat")
    assert load(tmp_path, test_fraction=0.2).remarks == {}


def test_further_classes_and_images_leave_the_split_of_the_others(tmp_path: Path) -> None:
    before = load(tree(tmp_path / "may", "cat", "dog", count=50))
    tree(tmp_path / "may", "ant", "bee", count=50)
    after = load(tmp_path / "may")
    assert after.class_names == ("ant", "bee", "cat", "dog")
    assert all(held_out(after, name) == held_out(before, name) for name in ("cat", "dog"))
    for index in range(50, 60):
        picture(tmp_path / "may" / "cat" / f"{index}.png", index)
    now = held_out(load(tmp_path / "may"), "cat")
    assert len(now) == 12 and len(held_out(before, "cat") - now) <= 3


@pytest.mark.parametrize("splits", [("train", "valid"), ("Train", "validation"), ("train", "test")])
def test_folders_of_splits_are_not_split_again(tmp_path: Path, splits: tuple[str, ...]) -> None:
    for split in splits:
        tree(tmp_path / "set" / split, "cat", "dog", count=3)
    dataset = load(tmp_path / "set")
    assert len(dataset.train_images) == len(dataset.test_images) == 6
    assert not any("held out" in remark for remark in dataset.remarks)


def test_a_class_may_be_named_like_a_split(tmp_path: Path) -> None:
    assert load(tree(tmp_path, "test", "tram")).class_names == ("test", "tram")


def test_a_single_split_is_no_class(tmp_path: Path) -> None:
    tree(tmp_path / "train", "cat", "dog")
    with pytest.raises(FileNotFoundError, match="has no folder 'test'"):
        load(tmp_path)


def test_images_without_class_folders_are_told_the_layout(tmp_path: Path) -> None:
    tree(tmp_path, "cat")
    with pytest.raises(
        ValueError, match=r"no class folders with images, but 10 images .*: the layout is <class>"
    ) as error:
        load(tmp_path / "cat")
    assert "such as cat/0.png" in str(error.value) and "give the folder above it as root" in str(error.value)


def test_an_empty_class_is_left_out_if_problems_are_skipped(tmp_path: Path) -> None:
    tree(tmp_path, "cat", "dog")
    (tmp_path / "elk").mkdir()
    with pytest.raises(ValueError, match=r"class 'elk' contains no images\. Add images or .* on_error='skip'"):
        load(tmp_path)
    dataset = load(tmp_path, on_error="skip")
    assert dataset.class_names == ("cat", "dog") and dataset.left_out == {"class folders without images": 1}


def test_one_class_alone_is_remarked(tmp_path: Path) -> None:
    remarks = load(tree(tmp_path, "cat")).remarks
    assert remarks["all of one class, 'cat'; is root the folder that contains the classes?"] == 10


def test_one_tree_packed_is_the_same(tmp_path: Path) -> None:
    root = tree(tmp_path / "set", "cat", "dog")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", root)
    assert load(Path(packed)).images_sha256 == load(root).images_sha256

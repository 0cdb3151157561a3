"""Trees, zips and tars, and how they are listed and split."""

from __future__ import annotations

import shutil
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cls_env import ImageDataset, load_dataset
from cls_env.datasets.splits import stratified_split


@pytest.fixture
def flat(image_tree: Path, tmp_path: Path) -> Path:
    """One tree of classes without a split, nine images each."""
    root = tmp_path / "flat"
    for split in ("train", "test"):
        for file in (image_tree / split).rglob("*.png"):
            target = root / file.parent.name / f"{split}_{file.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return root


def as_zip(tree: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as writer:
        for file in sorted(tree.rglob("*.png"), reverse=True):
            writer.write(file, Path(tree.name) / file.relative_to(tree))
    return archive


def as_tar(mode: str) -> Callable[[Path, Path], Path]:
    def pack(tree: Path, archive: Path) -> Path:
        with tarfile.open(archive, mode) as writer:
            for file in sorted(tree.rglob("*.png"), reverse=True):
                writer.add(file, f"./{tree.name}/{file.relative_to(tree)}")
        return archive

    return pack


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("x.zip", as_zip),
        ("x.tar", as_tar("w:")),
        ("x.tar.gz", as_tar("w:gz")),
        ("x.tar.xz", as_tar("w:xz")),
        ("x.tar.bz2", as_tar("w:bz2")),
    ],
)
def test_every_kind_of_archive_equals_its_tree(
    image_tree: Path, tmp_path: Path, name: str, pack: Callable[[Path, Path], Path]
) -> None:
    tree = load_dataset("folder", root=image_tree, image_size=16)
    archive = load_dataset("folder", root=pack(image_tree, tmp_path / name), image_size=16)
    assert archive.class_names == tree.class_names
    assert archive.images_sha256 == tree.images_sha256
    assert np.array_equal(archive.train_labels, tree.train_labels)


def test_broken_file_in_a_tar_is_named_by_the_archive(image_tree: Path, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(image_tree, tmp_path / "tree"))
    (tree / "train" / "cat" / "0.png").write_bytes(b"nothing")
    archive = as_tar("w:gz")(tree, tmp_path / "x.tgz")
    with pytest.raises(ValueError, match=r"x\.tgz/tree/train/cat/0\.png can't be decoded"):
        load_dataset("folder", root=archive)


def test_truncated_archive_is_refused(image_zip: Path, tmp_path: Path) -> None:
    (tmp_path / "half.zip").write_bytes(image_zip.read_bytes()[:5000])
    with pytest.raises(ValueError, match="neither a folder nor a zip or tar file, or it is damaged"):
        load_dataset("folder", root=tmp_path / "half.zip")


def test_class_in_two_unicode_spellings_is_one_across_splits(image_tree: Path, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(image_tree, tmp_path / "tree"))
    apart = unicodedata.normalize("NFD", "brücke")
    (tree / "test" / "brücke").rename(tree / "test" / apart)
    dataset = load_dataset("folder", root=tree)
    assert dataset.class_names == ("apple", "brücke", "cat", "dog")
    assert np.bincount(dataset.test_labels).tolist() == [3, 3, 3, 3]


def test_class_in_two_unicode_spellings_in_one_split_is_refused(image_tree: Path, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(image_tree, tmp_path / "tree"))
    shutil.copytree(tree / "train" / "cat", tree / "train" / unicodedata.normalize("NFD", "brücke"))
    with pytest.raises(ValueError, match="two folders are named 'brücke', in two Unicode forms"):
        load_dataset("folder", root=tree)


def test_names_in_many_scripts(image_tree: Path, tmp_path: Path) -> None:
    names = ["小猫", "собака", "قطة", "a b c", "100%"]
    for split in ("train", "test"):
        for name in names:
            shutil.copytree(image_tree / split / "cat", tmp_path / "tree" / split / name)
    assert set(load_dataset("folder", root=tmp_path / "tree").class_names) == set(names)


@pytest.mark.parametrize("packed", [False, True])
def test_seeded_split_of_one_tree(flat: Path, tmp_path: Path, packed: bool) -> None:
    root = as_zip(flat, tmp_path / "flat.zip") if packed else flat
    dataset = load_dataset("folder", root=root, test_fraction=1 / 3, seed=2)
    assert np.bincount(dataset.train_labels).tolist() == [6] * 4
    assert np.bincount(dataset.test_labels).tolist() == [3] * 4
    other = load_dataset("folder", root=root, test_fraction=1 / 3, seed=3)
    assert other.images_sha256 != dataset.images_sha256
    rows = {image.tobytes() for images in (dataset.train_images, dataset.test_images) for image in images}
    assert len(rows) == 36  # nothing is in both


def test_split_is_fixed_by_the_seed_to_the_row() -> None:
    labels = np.repeat(np.arange(3), 10)
    assert np.flatnonzero(stratified_split(labels, 0.2, seed=0)).tolist() == [0, 3, 11, 13, 26, 29]


def test_listed_split(flat: Path, tmp_path: Path) -> None:
    lists = {"train": tmp_path / "train.txt", "test": tmp_path / "test.txt"}
    lists["train"].write_text("apple/train_0.png\ncat/train_1.png 2\n\nelsewhere/brücke/train_2.png\n")
    lists["test"].write_text("apple/test_0.png 0\n")
    dataset = load_dataset("folder", root=flat, train_list=lists["train"], test_list=lists["test"])
    assert dataset.train_labels.tolist() == [0, 2, 1] and dataset.test_labels.tolist() == [0]
    lists["test"].write_text("apple/train_0.png\n")
    with pytest.raises(ValueError, match=r"'apple/train_0\.png' is listed twice, the second time in the test list"):
        load_dataset("folder", root=flat, train_list=lists["train"], test_list=lists["test"])
    lists["test"].write_text("apple/nowhere.png\n")
    with pytest.raises(ValueError, match=r"the test list contains 'apple/nowhere\.png', which matches no image"):
        load_dataset("folder", root=flat, train_list=lists["train"], test_list=lists["test"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"domains": True}, FileNotFoundError, "has no folder 'train'.*without folders of splits"),
        ({"test_fraction": 1.0}, ValueError, r"test_fraction must be in \(0, 1\)"),
        ({"train_list": "x.txt"}, ValueError, "needs both train_list and test_list"),
        ({"train_list": "x.txt", "test_list": "y.txt"}, FileNotFoundError, r"the list x\.txt does not exist"),
        ({"test_fraction": 0.5, "domains": True}, ValueError, "choose one of"),
    ],
)
def test_impossible_splits(flat: Path, options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_dataset("folder", root=flat, **options)


def test_class_of_a_single_image_cannot_be_split(flat: Path) -> None:
    for file in sorted((flat / "dog").iterdir())[1:]:
        file.unlink()
    with pytest.raises(ValueError, match="only one image"):
        load_dataset("folder", root=flat, test_fraction=0.5)


def test_domains_are_a_level_of_folders(image_tree: Path, tmp_path: Path) -> None:
    for domain in ("photo", "sketch"):
        for split in ("train", "test"):
            shutil.copytree(image_tree / split, tmp_path / "tree" / split / domain)
    shutil.rmtree(tmp_path / "tree" / "train" / "sketch" / "dog")
    dataset = load_dataset("folder", root=tmp_path / "tree", domains=True)
    assert dataset.domain_names == ("photo", "sketch")
    assert dataset.class_names == ("apple", "brücke", "cat", "dog")
    assert dataset.train_domains is not None
    counts = np.zeros((2, 4), dtype=int)
    np.add.at(counts, (dataset.train_domains, dataset.train_labels), 1)
    assert counts.tolist() == [[6, 6, 6, 6], [6, 6, 6, 0]]
    assert "2 domains" in repr(dataset)
    reopened: ImageDataset = load_dataset("folder", root=tmp_path / "tree", domains=True)
    assert np.array_equal(reopened.train_domains, dataset.train_domains)


def test_lists_tell_deep_files_of_one_name_apart(flat: Path, tmp_path: Path) -> None:
    for name in ("apple", "cat"):
        (flat / name / "deep").mkdir()
        for file in list((flat / name).glob("*.png")):
            file.rename(flat / name / "deep" / file.name)
    train, test = tmp_path / "train.txt", tmp_path / "test.txt"
    train.write_text("\ufeffapple/deep/train_0.png\ncat/deep/train_0.png\n", encoding="utf-8")
    test.write_text("x/apple/deep/test_0.png 3\n")
    dataset = load_dataset("folder", root=flat, train_list=train, test_list=test)
    assert dataset.train_labels.tolist() == [0, 2] and dataset.test_labels.tolist() == [0]
    for wrong, message in (
        ("deep/train_0.png", "which matches no image or several"),
        ("apple/deep/train_0.png\napple/deep/train_0.png", "is listed twice"),
        ("cat/deep/train_0.png", "the train list contains no image of class 'apple'"),
        ("", "the train list contains no image"),
    ):
        train.write_text(wrong)
        with pytest.raises(ValueError, match=message):
            load_dataset("folder", root=flat, train_list=train, test_list=test)


def test_split_tree_is_not_split_again(image_tree: Path) -> None:
    with pytest.raises(ValueError, match="already has split folders, train and test"):
        load_dataset("folder", root=image_tree, test_fraction=0.5)


@pytest.mark.parametrize(("name", "mode"), [("x.tar", "w:"), ("x.tar.gz", "w:gz"), ("x.tar.xz", "w:xz")])
def test_truncated_tars_are_refused(image_tree: Path, tmp_path: Path, name: str, mode: str) -> None:
    archive = as_tar(mode)(image_tree, tmp_path / name)
    whole = archive.read_bytes()
    for share in (0.5, 0.8):
        archive.write_bytes(whole[: int(share * len(whole)) // 512 * 512])
        with pytest.raises(ValueError, match=r"x\.tar.* damaged"):
            load_dataset("folder", root=archive)


def test_links_in_a_tar_are_images(image_tree: Path, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(image_tree, tmp_path / "tree"))
    for name, link in (("6.png", "hardlink_to"), ("7.png", "symlink_to")):
        target = tree / "train" / "cat" / "0.png"
        getattr(tree / "train" / "cat" / name, link)(target if link == "hardlink_to" else target.name)
    folder = load_dataset("folder", root=tree)
    assert np.bincount(folder.train_labels).tolist() == [6, 6, 8, 6]
    archive = as_tar("w:")(tree, tmp_path / "x.tar")
    assert load_dataset("folder", root=archive).images_sha256 == folder.images_sha256


def test_link_to_a_folder_around_it_is_not_followed(image_tree: Path, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(image_tree, tmp_path / "tree"))
    (tree / "train" / "cat" / "loop").symlink_to("../..")
    assert len(load_dataset("folder", root=tree).train_images) == 24


def test_zips_of_other_systems(image_tree: Path, tmp_path: Path) -> None:
    expected = load_dataset("folder", root=image_tree).images_sha256
    for prefix, separator in (("./", "/"), ("", "\\")):
        archive = tmp_path / "x.zip"
        with zipfile.ZipFile(archive, "w") as writer:
            for file in sorted(image_tree.rglob("*.png")):
                entry = zipfile.ZipInfo()
                entry.filename = prefix + separator.join(file.relative_to(image_tree).parts)
                writer.writestr(entry, file.read_bytes())
        assert load_dataset("folder", root=archive).images_sha256 == expected


def test_encrypted_zip_is_refused(image_zip: Path, tmp_path: Path) -> None:
    content = bytearray(image_zip.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + offset] |= 1
            place = content.find(mark, place + 4)
    (tmp_path / "locked.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"locked\.zip is encrypted; unpack it"):
        load_dataset("folder", root=tmp_path / "locked.zip")


def test_damaged_entry_of_a_zip_is_named(image_tree: Path, tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for file in sorted(image_tree.rglob("*.png")):
            writer.write(file, file.relative_to(image_tree))
        start = writer.getinfo("train/dog/0.png").header_offset
    content = bytearray(archive.read_bytes())
    content[start + 60 : start + 90] = bytes(30)
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.zip/train/dog/0\.png can't be decoded"):
        load_dataset("folder", root=archive)


def test_folder_name_that_is_not_utf8_is_refused(image_tree: Path, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(image_tree, tmp_path / "tree"))
    for split in ("train", "test"):
        (tree / split / "cat").rename(tree / split / "caf\udce9")
    with pytest.raises(ValueError, match="is not UTF-8; rename it"):
        load_dataset("folder", root=tree)


def test_message_lists_the_folders_that_are_there(image_tree: Path, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(image_tree, tmp_path / "tree"))
    (tree / "test").rename(tree / "held_out")
    with pytest.raises(FileNotFoundError, match=r"no folder 'test' \(it contains held_out, train\)"):
        load_dataset("folder", root=tree)


def test_readme_beside_the_single_top_folder(image_tree: Path, tmp_path: Path) -> None:
    shutil.copytree(image_tree, tmp_path / "outer" / "photos")
    (tmp_path / "outer" / "README.txt").write_text("x")
    assert len(load_dataset("folder", root=tmp_path / "outer").train_images) == 24

"""Layouts of folders, lists and tables are recognised as people name and write them."""

from __future__ import annotations

import shutil
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cls_env import ClassIncrementalEnv, TaskStream, load_dataset
from cls_env.datasets.files.split_lists import read_lines

CLASSES = ("cat", "dog")


def picture(file: Path, value: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (value, 0, 0)).save(file)


def split_tree(root: Path, *splits: str, count: int = 4) -> Path:
    """Classes in the folders of splits; the red of an image counts them all."""
    value = 0
    for split in splits:
        for name in CLASSES:
            for index in range(count):
                picture(root / split / name / f"{index}.png", value)
                value += 1
    return root


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("Train", "TEST"), ("training", "testing"), ("Training", "eval"), ("train", "evaluation")],
)
def test_splits_have_any_usual_name(tmp_path: Path, train: str, test: str) -> None:
    dataset = load_dataset("folder", root=split_tree(tmp_path, train, test), image_size=8)
    assert dataset.train_images[:, 0, 0, 0].tolist() == [*range(8)]
    assert dataset.test_images[:, 0, 0, 0].tolist() == [*range(8, 16)]


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "dev"])
def test_validation_folder_is_the_validation_split(tmp_path: Path, name: str) -> None:
    root = split_tree(tmp_path, "train", "test", name)
    dataset = load_dataset("folder", root=root, image_size=8)
    assert dataset.left_out == {} and dataset.validation_rows is not None
    stream = TaskStream(dataset, 2, max_per_class=3)
    shown = {
        split: stream.images(split)[stream.tasks[0].indices(split)][:, 0, 0, 0] for split in ("train", "validation")
    }
    assert set(shown["validation"]) <= set(range(16, 24)) and len(shown["validation"]) == 4
    assert set(shown["train"]) <= set(range(8)) and len(shown["train"]) == 3
    assert [task["validation_images"] for task in stream.describe()["tasks"]] == [4, 4]
    env = ClassIncrementalEnv(stream, split="validation", task=[0, 1])
    assert {int(env.reset()[0][0, 0, 0]) for _ in range(8)} == set(range(16, 24))
    with pytest.raises(ValueError, match="has its own validation split, of 8 images: remove validation_fraction"):
        TaskStream(dataset, 2, validation_fraction=0.5)


def test_validation_split_comes_with_every_domain_shift(tmp_path: Path) -> None:
    dataset = load_dataset("folder", root=split_tree(tmp_path, "train", "test", "val"), image_size=8)
    stream = TaskStream(dataset, scenario="domain-incremental", domains=["identity", "rotate-90"])
    for task in stream.tasks:
        assert set(stream.images("validation")[task.validation_indices][:, 0, 0, 0]) == set(range(16, 24))
        assert set(stream.images("train")[task.train_indices][:, 0, 0, 0]) == set(range(8))


def test_validation_folder_is_the_test_split_where_there_is_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = load_dataset("folder", root=split_tree(tmp_path, "train", "valid"), image_size=8)
    assert len(dataset.test_labels) == 8 and dataset.validation_rows is None
    assert "8 images: of the folder 'valid', used as the test split, since there is no other" in capsys.readouterr().err


def test_two_folders_for_one_split_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two folders for the validation split, 'val' and 'valid': merge them"):
        load_dataset("folder", root=split_tree(tmp_path, "train", "test", "val", "valid"))


@pytest.mark.parametrize("top", ["", "photos"])
@pytest.mark.parametrize(
    "splits",
    [
        ("train", "val"),
        ("train", "valid", "test"),
        ("Train", "Test"),
        ("training", "validation"),
        ("train", "eval", "extra"),
    ],
)
def test_splits_are_no_classes(tmp_path: Path, top: str, splits: tuple[str, ...]) -> None:
    root = split_tree(tmp_path / "set" / top, *splits)
    with pytest.raises(ValueError, match=f"already has split folders, {splits[0]}.*: remove test_fraction"):
        load_dataset("folder", root=tmp_path / "set", test_fraction=0.25)
    (tmp_path / "list.txt").write_text(f"{splits[0]}/cat/0.png\n")
    lists = {"train_list": tmp_path / "list.txt", "test_list": tmp_path / "list.txt"}
    with pytest.raises(ValueError, match="already has split folders"):
        load_dataset("folder", root=tmp_path / "set", **lists)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as writer:
        for file in root.rglob("*.png"):
            writer.write(file, file.relative_to(tmp_path / "set"))
    with pytest.raises(ValueError, match="already has split folders"):
        load_dataset("folder", root=tmp_path / "set.zip", test_fraction=0.25)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("train", "tram", "test"):  # vehicles, and what is tested
        for index in range(4):
            picture(tmp_path / name / f"{index}.png")
    assert load_dataset("folder", root=tmp_path, test_fraction=0.25).class_names == ("test", "train", "tram")


def deep_tree(root: Path) -> Path:
    for domain in ("photo", "sketch"):
        for name in CLASSES:
            for index in range(4):
                picture(root / domain / name / f"{index}.png")
    return root


def test_deeper_trees_are_said_and_leaves_can_be_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = load_dataset("folder", root=deep_tree(tmp_path), test_fraction=0.25)
    assert dataset.class_names == ("photo", "sketch")
    assert "16 images: in subfolders of a class folder" in capsys.readouterr().err
    leaves = load_dataset("folder", root=tmp_path, test_fraction=0.25, leaf_classes=True)
    assert leaves.class_names == ("photo/cat", "photo/dog", "sketch/cat", "sketch/dog") and leaves.remarks == {}


def test_leaves_of_split_trees_and_of_domains_are_classes(tmp_path: Path) -> None:
    for split in ("train", "test"):
        deep_tree(tmp_path / split)
    assert load_dataset("folder", root=tmp_path, leaf_classes=True).class_names[0] == "photo/cat"
    for split in ("train", "test"):
        for name in CLASSES:
            picture(tmp_path / split / "photo" / name / "young" / "0.png")
    domains = load_dataset("folder", root=tmp_path, leaf_classes=True, domains=True)
    assert domains.domain_names == ("photo", "sketch")
    assert domains.class_names == ("cat", "cat/young", "dog", "dog/young")


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    for name in ("cat", "great dog"):
        for index in range(4):
            picture(tmp_path / "flat" / name / f"{index}.png", index)
    return tmp_path / "flat"


LISTS = {
    "Windows line ends": b"cat/0.png\r\ngreat dog/0.png\r\n",
    "old Macintosh line ends": b"cat/0.png\rgreat dog/0.png",
    "UTF-8 with its mark": "\ufeffcat/0.png\ngreat dog/0.png".encode(),
    "UTF-16 of Notepad": "cat/0.png\r\ngreat dog/0.png\r\n".encode("utf-16"),
    "UTF-16 of PowerShell": "\ufeffcat/0.png\r\ngreat dog/0.png".encode("utf-16-be"),
    "UTF-16 without its mark": "cat/0.png\ngreat dog/0.png".encode("utf-16-le"),
    "backslashes": rb".\flat\cat\0.png" + b"\n" + rb"D:\data\flat\great dog\0.png",
    "tabs": b"cat/0.png\t0\ngreat dog/0.png\t1",
    "commas": b"cat/0.png,0\ngreat dog/0.png, 1",
    "semicolons": b"cat/0.png;cat;0\ngreat dog/0.png;dog;1",
    "blanks": b"cat/0.png 0\ngreat dog/0.png 1",
    "labels first": b"0,cat/0.png\n1\tgreat dog/0.png",
    "a heading and quotes": b"image,label\n\"cat/0.png\",0\n'great dog/0.png',1",
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists_are_read_as_any_program_writes_them(flat: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "train.txt").write_bytes(LISTS[kind])
    (tmp_path / "test.txt").write_text("cat/1.png\ngreat dog/1.png\n")
    lists = {"train_list": tmp_path / "train.txt", "test_list": str(tmp_path / "test.txt")}
    dataset = load_dataset("folder", root=flat, image_size=8, **lists)
    assert dataset.train_labels.tolist() == [0, 1] and dataset.train_images[:, 0, 0, 0].tolist() == [0, 0]


def test_lists_in_the_code_page_of_windows(tmp_path: Path) -> None:
    for name in ("brücke", "café"):
        for index in range(2):
            picture(tmp_path / "set" / name / f"{index}.png")
    (tmp_path / "train.txt").write_bytes("brücke/0.png\r\ncafé/0.png".encode("cp1252"))
    (tmp_path / "test.txt").write_bytes("brücke/1.png\r\ncafé/1.png".encode("cp1252"))
    lists = {"train_list": tmp_path / "train.txt", "test_list": tmp_path / "test.txt"}
    assert load_dataset("folder", root=tmp_path / "set", **lists).train_labels.tolist() == [0, 1]


def test_a_line_names_no_other_file_than_its_own(flat: Path, tmp_path: Path) -> None:
    """Where 'great cat/0.png' is not there, 'cat/0.png' is not meant."""
    (tmp_path / "train.txt").write_text("cat/0.png\ngreat cat/0.png\n")
    (tmp_path / "test.txt").write_text("cat/1.png\n")
    with pytest.raises(ValueError, match=r"the train list contains 'great cat/0\.png', which matches no image"):
        load_dataset("folder", root=flat, train_list=tmp_path / "train.txt", test_list=tmp_path / "test.txt")


def test_text_that_is_not_what_its_mark_says_is_named(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("x".encode("utf-16") + b"\x00")
    with pytest.raises(ValueError, match=r"list\.txt is not text in utf-16, as its beginning says"):
        read_lines(tmp_path / "list.txt")


def test_rows_of_domains_keep_their_order(tmp_path: Path) -> None:
    """Domains first, then classes, each in the order of its names: numbers by value."""
    for split in ("train", "test"):
        for year in ("9", "10"):
            for name in ("b", "a"):
                picture(tmp_path / split / year / name / "0.png")
    dataset = load_dataset("folder", root=tmp_path, domains=True, image_size=8)
    assert dataset.domain_names == ("9", "10") and dataset.train_domains is not None
    assert dataset.train_domains.tolist() == [0, 0, 1, 1] and dataset.train_labels.tolist() == [0, 1, 0, 1]
    assert np.array_equal(dataset.test_labels, dataset.train_labels)


def test_stray_images_do_not_make_classes_of_splits(tmp_path: Path) -> None:
    root = split_tree(tmp_path, "train", "test")
    picture(root / "train" / "preview.png")
    with pytest.raises(ValueError, match="already has split folders, train and test"):
        load_dataset("folder", root=root, test_fraction=0.25)


@pytest.mark.parametrize("other", ["unlabeled", "docs"])
def test_a_single_split_beside_another_folder_is_no_class(tmp_path: Path, other: str) -> None:
    root = split_tree(tmp_path, "train", other)
    with pytest.raises(ValueError, match=r"the folder 'train' is named like a split, .*: give 'train' as root, or"):
        load_dataset("folder", root=root, test_fraction=0.25)
    assert load_dataset("folder", root=root / "train", test_fraction=0.25).class_names == CLASSES


def test_classes_may_be_named_as_splits_are(tmp_path: Path) -> None:
    for name in ("train", "tram"):
        for index in range(4):
            picture(tmp_path / name / f"{index}.png")
    picture(tmp_path / "train" / "more" / "0.png")
    assert load_dataset("folder", root=tmp_path, test_fraction=0.25).class_names == ("train", "tram")


@pytest.mark.parametrize("first", ["a/5.pgn", "a/5", "a/5.JPEGX,0", "a/5.heic", "5.heic", "a\\5"])
def test_a_first_line_that_names_a_file_is_no_heading(tmp_path: Path, first: str) -> None:
    root = tmp_path / "set"
    for name in "ab":
        for index in range(3):
            picture(root / name / f"{index}.png", index)
    train, test = tmp_path / "train.txt", tmp_path / "test.txt"
    test.write_text("a/2.png\nb/2.png\n")
    train.write_text(f"{first}\na/0.png\nb/0.png\n")
    with pytest.raises(ValueError, match=r"the train list contains .*, which matches no image or several"):
        load_dataset("folder", root=root, train_list=train, test_list=test)
    for heading in ("image,label", "filename", "path\tclass", "Training images"):
        train.write_text(f"{heading}\na/0.png\nb/0.png\n")
        assert len(load_dataset("folder", root=root, train_list=train, test_list=test).train_labels) == 2


def test_a_line_with_two_images_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("a", "great cat", "cat"):
        for index in range(3):
            picture(root / name / f"{index}.png", index)
    train, test = tmp_path / "train.txt", tmp_path / "test.txt"
    test.write_text("a/2.png\ncat/2.png\ngreat cat/2.png\n")
    for line in ("a/0.png a/1.png", "a/0.png,a/1.png", "a/0.png\t3\ta/1.png"):
        train.write_text(f"{line}\ncat/0.png\ngreat cat/0.png\n")
        with pytest.raises(ValueError, match="which matches no image or several"):
            load_dataset("folder", root=root, train_list=train, test_list=test)
    for great in (
        "great cat/0.png",
        "great cat/0.png 3",
        "3,great cat/0.png",
        "great cat/0.png\t3",
        "x/great cat/0.png",
    ):
        train.write_text(f"a/0.png 1\ncat/0.png\n{great}\n")
        dataset = load_dataset("folder", root=root, train_list=train, test_list=test)
        assert dataset.train_labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_replaced_members_of_archives_are_counted(tmp_path: Path, kind: str) -> None:
    root = split_tree(tmp_path / "set", "train", "test", count=2)
    files = sorted(path for path in root.rglob("*.png"))
    first = files[0].relative_to(root)
    archive = tmp_path / f"set.{kind}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile says so of the second member of a name
        if kind == "zip":
            with zipfile.ZipFile(archive, "w") as writer:
                for file in files:
                    writer.write(file, file.relative_to(root))
                writer.write(files[1], first)
                writer.write(files[1], f"./{first}")
        else:
            with tarfile.open(archive, "w") as packer:
                for file in files:
                    packer.add(file, file.relative_to(root))
                packer.add(files[1], first)
                packer.add(files[1], f"./{first}")
    dataset = load_dataset("folder", root=archive, image_size=8)
    assert dataset.left_out == {"earlier files of an archive, which a later one of the same name replaces": 2}
    assert np.array_equal(dataset.test_images[0], dataset.test_images[1])


def test_sixteen_bit_grey_may_be_transparent(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in "ab":
            (tmp_path / split / name).mkdir(parents=True)
            values = np.full((8, 8), 30_000, dtype=np.uint16)
            values[0] = 1_000
            Image.fromarray(values).save(tmp_path / split / name / "0.png", transparency=30_000)
    dataset = load_dataset("folder", root=tmp_path, image_size=8)
    assert dataset.train_images[0, 1].min() == 255 and dataset.train_images[0, 0].max() == 1_000 >> 8
    assert dataset.remarks["transparent, shown on the background white"] == 4
    with pytest.raises(ValueError, match="background must be an opaque color such as '#202020', not '#20202080'"):
        load_dataset("folder", root=tmp_path, background="#20202080")


def test_a_store_of_equal_images_has_the_name_that_is_asked_for(tmp_path: Path) -> None:
    first = split_tree(tmp_path / "my set", "train", "test")
    second = tmp_path / "my_set"
    shutil.copytree(first, second)
    one, other = (load_dataset("folder", root=root, image_size=8) for root in (first, second))
    assert one.path == other.path
    assert (one.name, other.name) == ("folder:my set", "folder:my_set")


def test_an_empty_root_is_not_the_current_folder() -> None:
    with pytest.raises(ValueError, match=r"must not be empty; '\.' is the current folder"):
        load_dataset("folder", root="")


def test_a_list_that_is_a_folder_is_named(tmp_path: Path) -> None:
    root = split_tree(tmp_path / "set", "train")
    with pytest.raises(FileNotFoundError, match=r"the list .*set is not a file"):
        load_dataset("folder", root=root / "train", train_list=root, test_list=root)

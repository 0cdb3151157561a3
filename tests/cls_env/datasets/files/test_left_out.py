"""Nothing that lies in a folder or an archive of images is left out without a word."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from cls_env import ImageDataset, TaskStream, load_dataset
from cls_env.datasets.files.contents import HIDDEN, LOOPS, SYSTEM

UNREAD = "files, folders and links that can't be read"


def images(root: Path, *folders: str, count: int = 3, suffix: str = ".png") -> None:
    """Small pictures, all different, in some folders."""
    random = np.random.default_rng(len(folders))
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = random.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{index}{suffix}")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes, three training and three test images each."""
    images(tmp_path / "set", "train/cat", "train/dog", "test/cat", "test/dog")
    return tmp_path / "set"


def load(root: Path, **options: object) -> ImageDataset:
    return load_dataset("folder", root=root, image_size=16, **options)


def test_linked_class_folders_are_followed_and_dangling_ones_named(tree: Path, tmp_path: Path) -> None:
    images(tmp_path, "pool/n01")
    for split in ("train", "test"):
        (tree / split / "owl").symlink_to(tmp_path / "pool" / "n01")
    assert load(tree).class_names == ("cat", "dog", "owl")  # by the name of the link
    (tmp_path / "pool").rename(tmp_path / "not mounted")
    with pytest.raises(ValueError, match=r"set/test/owl: the link to '.*pool/n01' can't be followed \(No such file"):
        load(tree)
    left = load(tree, on_error="skip")
    assert left.class_names == ("cat", "dog") and left.left_out == {UNREAD: 2}
    assert TaskStream(left, 2).describe()["left_out"] == {UNREAD: 2}


def test_dangling_link_to_a_folder_within_a_class_is_named(tree: Path) -> None:
    (tree / "train" / "cat" / "more").symlink_to("nowhere")
    with pytest.raises(ValueError, match="cat/more: the link to 'nowhere' can't be followed"):
        load(tree)


@pytest.mark.parametrize("kind", ["link to itself", "pipe"])
def test_what_is_no_file_and_no_folder_is_named(tree: Path, kind: str) -> None:
    odd = tree / "train" / "cat" / "odd.png"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to(odd)
    with pytest.raises(ValueError, match=r"cat/odd\.png: "):
        load(tree)
    assert len(load(tree, on_error="skip").train_labels) == 6


def test_links_in_a_circle_end(tree: Path) -> None:
    (tree / "train" / "cat" / "to_dog").symlink_to("../dog")
    (tree / "train" / "dog" / "to_cat").symlink_to("../cat")
    dataset = load(tree)
    assert np.bincount(dataset.train_labels).tolist() == [6, 6]  # each class once, and the other through its link
    assert dataset.left_out == {LOOPS: 2}


UNREADABLE = """
import os, sys
from pathlib import Path
import cls_env.datasets.loaders.folder, PIL.PngImagePlugin, numpy as np
from cls_env import load_dataset
if os.getuid() == 0:
    os.setuid(12345)
for on_error in ("raise", "skip"):
    try:
        dataset = load_dataset("folder", root=sys.argv[1], image_size=16, on_error=on_error)
        print(np.bincount(dataset.train_labels).tolist(), dataset.left_out)
    except ValueError as error:
        print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="permissions are Unix's")
def test_folder_without_permission_is_named(tree: Path, tmp_path: Path) -> None:
    images(tree, "train/cat/more")
    for folder in (tree, *tree.parents):
        if folder.is_relative_to(tempfile.gettempdir()) and folder != Path(tempfile.gettempdir()):
            folder.chmod(folder.stat().st_mode | 0o755)
    (tree / "train" / "cat" / "more").chmod(0)
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    code = [sys.executable, "-c", UNREADABLE, str(tree)]
    environment = os.environ | {"CLS_ENV_CACHE": str(cache), "HOME": str(cache)}
    done = subprocess.run(code, capture_output=True, text=True, env=environment, check=True)
    (tree / "train" / "cat" / "more").chmod(0o755)
    error, counted = done.stdout.splitlines()
    assert "train/cat/more: the folder can't be listed (Permission denied)" in error and "on_error='skip'" in error
    assert counted == f"[3, 3] {{{UNREAD!r}: 1}}" or counted == f'[3, 3] {{"{UNREAD}": 1}}'


def test_io_error_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def failing(place: Path | int) -> object:
        if not isinstance(place, int) and Path(place).name == "dog":
            raise OSError(5, "Input/output error")
        return scandir(place)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(ValueError, match=r"/dog: the folder can't be listed \(Input/output error\); .*/dog: "):
        load(tree)


def as_zip_with_links(tree: Path, archive: Path) -> Path:
    """As `zip --symlinks` packs a tree."""
    with zipfile.ZipFile(archive, "w") as writer:
        for path in sorted(tree.rglob("*")):
            name = str(path.relative_to(tree))
            if path.is_symlink():
                entry = zipfile.ZipInfo(name)
                entry.external_attr = 0o120777 << 16
                writer.writestr(entry, str(path.readlink()))
            elif path.is_file():
                writer.write(path, name)
    return archive


def as_tar_with_links(tree: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w") as writer:
        writer.add(tree, arcname="set")
    return archive


PACKERS = [(as_zip_with_links, "set.zip"), (as_tar_with_links, "set.tar")]


@pytest.mark.parametrize(("pack", "name"), PACKERS)
def test_linked_folders_in_archives_are_named(
    tree: Path, tmp_path: Path, pack: Callable[[Path, Path], Path], name: str
) -> None:
    images(tree, "pool/owl")
    for split in ("train", "test"):
        (tree / split / "owl").symlink_to("../pool/owl")
    archive = pack(tree, tmp_path / name)
    with pytest.raises(ValueError, match=r"test/owl: it is a link to the folder '.*pool/owl'.*--dereference"):
        load(archive)
    left = load(archive, on_error="skip")
    assert left.left_out == {UNREAD: 2, "images in the folder 'pool', which is not a split": 3}


@pytest.mark.parametrize(("pack", "name"), PACKERS)
def test_linked_images_in_archives_are_images(
    tree: Path, tmp_path: Path, pack: Callable[[Path, Path], Path], name: str
) -> None:
    (tree / "train" / "cat" / "3.png").symlink_to("../dog/0.png")
    (tree / "train" / "cat" / "4.png").symlink_to("3.png")
    archive = pack(tree, tmp_path / name)
    assert load(archive).images_sha256 == load(tree).images_sha256
    (tree / "train" / "cat" / "5.png").symlink_to("/elsewhere/5.png")
    with pytest.raises(ValueError, match=r"cat/5\.png: it links to '/elsewhere/5\.png', which is not in the archive"):
        load(pack(tree, tmp_path / name))


def test_labels_go_by_the_name_of_the_class_where_the_test_split_lacks_one(tree: Path) -> None:
    images(tree, "train/cow", "train/owl", "test/owl")
    dataset = load(tree)
    assert dataset.class_names == ("cat", "cow", "dog", "owl")
    assert (sorted(set(dataset.train_labels)), sorted(set(dataset.test_labels))) == ([0, 1, 2, 3], [0, 2, 3])


@pytest.mark.parametrize("suffix", [".webp", *([".avif"] if features.check("avif") else [])])
def test_newer_formats_are_taken(tree: Path, suffix: str) -> None:
    images(tree, "train/cat", "train/owl", "test/owl", count=1, suffix=suffix)
    assert np.bincount(load(tree).train_labels).tolist() == [4, 3, 1]  # a class of this format alone, too


def test_suffixes_that_windows_gives_are_taken(tree: Path) -> None:
    images(tree, "train/cat", count=1, suffix=".jpg")
    for suffix in (".jfif", ".jpe", ".JPEG", ".JPG"):
        (tree / "train" / "cat" / f"x{suffix}").write_bytes((tree / "train" / "cat" / "0.jpg").read_bytes())
    for index, suffix in enumerate((".tga", ".jp2", ".pbm", ".dib", ".Png")):
        Image.new("1" if suffix == ".pbm" else "RGB", (16, 16)).save(tree / "train" / "cat" / f"{index + 9}{suffix}")
    assert np.bincount(load(tree).train_labels).tolist() == [3 + 1 + 4 + 5, 3]


def test_images_of_formats_that_are_not_read_are_named(tree: Path) -> None:
    for name in ("a.heic", "b.HEIC", "c.svg"):
        (tree / "train" / "cat" / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=r"cat/a\.heic: the image format \.heic is not supported;.*Convert these"):
        load(tree)
    kind = "images in an unsupported format"
    assert load(tree, on_error="skip").left_out == {f"{kind} (.heic)": 2, f"{kind} (.svg)": 1}


def test_everything_passed_over_is_counted_and_said(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images(tree, "train/dog/@eaDir/0.png", "train/.git", count=2)
    images(tree, "unlabelled", "train", count=4)
    for name in ("Thumbs.db", ".DS_Store", "._0.png", "notes.txt", "more.zip", "README"):
        (tree / "train" / "cat" / name).write_bytes(b"x")
    dataset = load(tree)
    assert np.bincount(dataset.train_labels).tolist() == [3, 3]
    assert dataset.left_out == {
        HIDDEN: 3,
        SYSTEM: 2,
        "files that are not images (.txt)": 1,
        "files that are not images (.zip)": 1,
        "files that are not images (no suffix)": 1,
        "images outside of the class folders": 4,
        "images in the folder 'unlabelled', which is not a split": 4,
    }
    said = capsys.readouterr().err
    assert all(f"folder:set: left out: {count} {kind}" in said for kind, count in dataset.left_out.items())
    assert load(tree).left_out == dataset.left_out  # from the store
    assert TaskStream(dataset, 2).describe()["left_out"] == dataset.left_out


def test_hidden_files_in_archives_are_counted(tree: Path, tmp_path: Path) -> None:
    images(tree, "__MACOSX/train/cat", "train/dog/@eaDir")
    (tree / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    for pack, name in PACKERS:
        assert load(pack(tree, tmp_path / name)).left_out == {HIDDEN: 2, SYSTEM: 1}


def test_undecodable_files_are_counted_by_kind(tree: Path) -> None:
    (tree / "train" / "cat" / "0.png").write_bytes(b"not an image")
    dataset = load(tree, on_error="skip")
    assert dataset.left_out == {"files that can't be decoded": 1}


def test_images_that_no_list_names_are_counted(tmp_path: Path) -> None:
    images(tmp_path / "flat", "cat", "dog", "owl")
    for name, lines in (("train.txt", "cat/0.png\ndog/0.png"), ("test.txt", "cat/1.png")):
        (tmp_path / name).write_text(lines)
    dataset = load(tmp_path / "flat", train_list=tmp_path / "train.txt", test_list=tmp_path / "test.txt")
    assert dataset.left_out == {"images in no list": 6, "classes in no list": 1}

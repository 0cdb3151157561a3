"""A store belongs to the names and contents of its files, and to nothing else about them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cls_env.datasets.files.content_digest as content_digest
from cls_env import TaskStream, load_dataset
from cls_env.datasets.files.content_digest import SourceFiles
from cls_env.datasets.storage.store import StoredDataset, list_stores


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of this test's own."""
    monkeypatch.setenv("CLS_ENV_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Bitmaps of one size and one time, as unpacked from one archive."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(3):
            file = tmp_path / "set" / name / f"{index}.bmp"
            Image.fromarray(random.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(file)
            os.utime(file, (1e9, 1e9))
    return tmp_path / "set"


def load(root: Path) -> StoredDataset:
    dataset = load_dataset("folder", root=root, image_size=16, test_fraction=0.34)
    assert isinstance(dataset, StoredDataset)
    return dataset


def test_swapped_files_are_decoded_anew(tree: Path) -> None:
    before = load(tree)
    (tree / "cat" / "0.bmp").rename(tree / "aside")
    (tree / "dog" / "0.bmp").rename(tree / "cat" / "0.bmp")
    (tree / "aside").rename(tree / "dog" / "0.bmp")
    after = load(tree)
    assert after.path != before.path
    now = np.asarray(Image.open(tree / "cat" / "0.bmp"))
    cats = [*after.train_images[after.train_labels == 0], *after.test_images[after.test_labels == 0]]
    assert any(np.array_equal(image, now) for image in cats)


def test_replaced_file_of_the_same_size_and_time_is_decoded_anew(tree: Path) -> None:
    before = load(tree)
    file = tree / "dog" / "1.bmp"
    content = bytearray(file.read_bytes())
    content[-1] ^= 255
    file.write_bytes(content)
    os.utime(file, (1e9, 1e9))
    assert load(tree).images_sha256 != before.images_sha256


def test_changed_archive_of_the_same_size_and_time_is_decoded_anew(tree: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "set"), "tar", tree))
    os.utime(archive, (1e9, 1e9))
    before = load(archive)
    pixel = (tree / "dog" / "1.bmp").read_bytes()[-48:]
    content = archive.read_bytes()
    place = content.index(pixel)
    archive.write_bytes(content[:place] + bytes(48) + content[place + 48 :])
    os.utime(archive, (1e9, 1e9))
    assert load(archive).images_sha256 != before.images_sha256


def test_added_and_removed_folders_are_seen(tree: Path) -> None:
    load(tree)
    (tree / "owl").mkdir()
    with pytest.raises(ValueError, match="class 'owl' contains no images"):
        load(tree)
    (tree / "owl").rmdir()
    assert load(tree).class_names == ("cat", "dog")
    shutil.copytree(tree / "dog", tree / "fox")
    assert load(tree).class_names == ("cat", "dog", "fox")
    shutil.rmtree(tree / "cat")
    assert load(tree).class_names == ("dog", "fox")


def test_touched_copied_and_moved_files_keep_their_store(tree: Path, tmp_path: Path) -> None:
    first = load(tree)
    for file in tree.rglob("*.bmp"):
        file.touch()
        file.chmod(0o600)
    assert load(tree).path == first.path
    shutil.copytree(tree, tmp_path / "copy" / "set")
    assert load(tmp_path / "copy" / "set").path == first.path
    (tmp_path / "elsewhere").mkdir()
    tree.rename(tmp_path / "elsewhere" / "set")
    assert load(tmp_path / "elsewhere" / "set").path == first.path
    assert len(list_stores()) == 1


def test_files_that_did_not_change_are_not_read_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_digest, "RECENT_NANOSECONDS", 0)
    digest = SourceFiles((tree,)).digest
    monkeypatch.setattr(content_digest, "_file_digest", lambda *_: pytest.fail("a file was read again"))
    assert SourceFiles((tree,)).digest == digest


def test_files_that_changed_just_now_are_read_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second change within the clock's step would leave size and times as they are."""
    first = SourceFiles((tree,)).digest
    file = tree / "cat" / "0.bmp"
    states = content_digest._state
    frozen = states(file, "0/cat/0.bmp")
    monkeypatch.setattr(content_digest, "_state", lambda path, name: frozen if path == file else states(path, name))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert SourceFiles((tree,)).digest != first


def test_change_during_a_build_is_noticed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cls_env.datasets.storage.store as store

    build = store.build_store

    def while_a_file_comes(*arguments: object) -> Path:
        built = build(*arguments)  # type: ignore[arg-type]
        shutil.copy(tree / "cat" / "0.bmp", tree / "cat" / "9.bmp")
        return built

    monkeypatch.setattr(store, "build_store", while_a_file_comes)
    with pytest.raises(ValueError, match="folder:set: files changed while they were read; load it again"):
        load(tree)
    assert list_stores() == []


def numbered(root: Path) -> Path:
    for number in range(12):
        (root / str(number)).mkdir(parents=True)
        for index in range(2):
            Image.new("RGB", (8, 8), (number, index, 0)).save(root / str(number) / f"{index}.png")
    return root


def test_class_names_that_are_numbers_sort_as_numbers(tmp_path: Path) -> None:
    options = {"root": numbered(tmp_path / "set"), "test_fraction": 0.5, "image_size": 8}
    stream = TaskStream("folder", 3, class_order=list(range(12)), dataset_options=options)
    assert stream.class_names == tuple(map(str, range(12)))
    pixels = [stream.dataset.train_images[row, 0, 0, 0] for row in np.argsort(stream.dataset.train_labels)]
    assert pixels == list(range(12))


def test_old_order_of_numbers_stays_available(tmp_path: Path) -> None:
    options = {"root": numbered(tmp_path / "set"), "test_fraction": 0.5, "image_size": 8, "class_sort": "text"}
    stream = TaskStream("folder", 3, class_order="natural", dataset_options=options)
    assert stream.class_names == tuple(sorted(map(str, range(12))))
    # What the version before recorded of these images in this order.
    assert stream.fingerprint == "1af7084e684bcae06d69cef7409a2079726a9f766e8503fa7905771684677c35"
    assert stream.dataset.images_sha256 == "842a3839dcf1a15316fb84a04b5e836690aa21bd969aaef9e1b0a5c93e2284ab"
    assert load_dataset("folder", **options | {"class_sort": "numeric"}).images_sha256 != stream.dataset.images_sha256


def test_names_that_are_not_all_numbers_sort_as_text(tmp_path: Path) -> None:
    root = numbered(tmp_path / "set")
    (root / "0").rename(root / "zero")
    dataset = load_dataset("folder", root=root, test_fraction=0.5, image_size=8)
    assert dataset.class_names == (*sorted(map(str, range(1, 12))), "zero")

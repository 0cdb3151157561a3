"""Sets in Hugging Face's formats, from local files; the hub itself is not asked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cls_env import load_dataset
from cls_env.datasets.paths import cache_root
from cls_env.datasets.storage.store import clear_stores

datasets = pytest.importorskip("datasets", reason='the extra "hub" is not installed')


PIXELS = np.random.default_rng(0).integers(0, 256, size=(12, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    features = datasets.Features({"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"])})
    for split, rows in (("train", range(8)), ("test", range(8, 12))):
        content = {"picture": [Image.fromarray(PIXELS[row]) for row in rows], "kind": [row % 2 for row in rows]}
        datasets.Dataset.from_dict(content, features=features).to_parquet(tmp_path / "set" / f"{split}.parquet")
    return tmp_path / "set"


def test_columns_are_found_by_their_kind(parquet: Path) -> None:
    dataset = load_dataset("huggingface", path=str(parquet), image_size=16)
    assert dataset.class_names == ("cat", "dog")
    assert np.array_equal(dataset.train_images, PIXELS[:8]) and np.array_equal(dataset.test_images, PIXELS[8:])
    assert dataset.test_labels.tolist() == [0, 1, 0, 1]


def test_held_out_share_replaces_the_test_split(parquet: Path) -> None:
    dataset = load_dataset("huggingface", path=str(parquet), image_size=16, test_fraction=0.25)
    assert (len(dataset.train_images), len(dataset.test_images)) == (6, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_split": "validation"}, "has no split 'validation', only"),
        ({"path": "/nowhere/at/all"}, "can't give '/nowhere/at/all'"),
    ],
)
def test_what_is_not_there_is_named(parquet: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_dataset("huggingface", **({"path": str(parquet)} | options))


def test_missing_column_is_named(parquet: Path, tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"text": ["a", "b"]}).to_parquet(tmp_path / "texts" / "train.parquet")
    with pytest.raises(ValueError, match=r"0 columns of kind Image.*name one by image_column"):
        load_dataset("huggingface", path=str(tmp_path / "texts"), test_fraction=0.5)


def write(folder: Path, columns: dict[str, list[object]], features: object = None, split: str = "train") -> Path:
    content = {"picture": [Image.fromarray(image) for image in PIXELS[: len(next(iter(columns.values())))]], **columns}
    datasets.Dataset.from_dict(content, features=features).to_parquet(folder / f"{split}.parquet")
    return folder


@pytest.fixture(autouse=True)
def _own_cache_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([10, 9, 10, 9, 7, 7], ("7", "9", "10")),
        (["dog", "cat", "dog", "cat", "owl", "owl"], ("cat", "dog", "owl")),
        ([True, False] * 3, ("False", "True")),
    ],
)
def test_plain_values_become_classes(tmp_path: Path, values: list[object], names: tuple[str, ...]) -> None:
    root = write(tmp_path / "set", {"label": values, "width": [*range(6)]})
    dataset = load_dataset("huggingface", path=str(root), image_size=16, test_fraction=0.5)
    assert dataset.class_names == names
    for images, labels in ((dataset.train_images, dataset.train_labels), (dataset.test_images, dataset.test_labels)):
        for image, label in zip(images, labels, strict=True):
            (row,) = np.flatnonzero((image == PIXELS).all(axis=(1, 2, 3)))
            assert str(values[row]) == names[label]


def test_the_only_plain_column_holds_the_classes(tmp_path: Path) -> None:
    root = write(tmp_path / "set", {"kind": ["a", "b"] * 3})
    assert load_dataset("huggingface", path=str(root), image_size=16, test_fraction=0.5).class_names == ("a", "b")
    other = write(tmp_path / "other", {"kind": ["a", "b"] * 3, "age": [1, 2] * 3})
    with pytest.raises(ValueError, match=r"\(kind, age\) is called label, .* or target: name one by label_column"):
        load_dataset("huggingface", path=str(other), test_fraction=0.5)
    named = load_dataset("huggingface", path=str(other), image_size=16, test_fraction=0.5, label_column="age")
    assert named.class_names == ("1", "2")
    numbers = write(tmp_path / "numbers", {"label": [0.5, 1.5] * 3})
    with pytest.raises(ValueError, match=r"column 'label' holds .*, not classes; name another by label_column"):
        load_dataset("huggingface", path=str(numbers), test_fraction=0.5, label_column="label")


@pytest.mark.parametrize("missing", [None, -1])
def test_rows_without_a_label_are_named_or_counted(tmp_path: Path, missing: object) -> None:
    label = datasets.ClassLabel(names=["a", "b"]) if missing == -1 else datasets.Value("string")
    values = [0, 1, 0, 1, 0, missing] if missing == -1 else ["a", "b", "a", "b", "a", missing]
    features = datasets.Features({"picture": datasets.Image(), "label": label})
    root = write(tmp_path / "set", {"label": values}, features)
    with pytest.raises(ValueError, match=rf"split 'train', row 5: its 'label' is {missing}"):
        load_dataset("huggingface", path=str(root), test_fraction=0.4)
    dataset = load_dataset("huggingface", path=str(root), image_size=16, test_fraction=0.4, on_error="skip")
    assert dataset.left_out == {"rows without a label": 1} and len(dataset.train_labels) + len(dataset.test_labels) == 5


def test_row_without_an_image_is_named_or_counted(tmp_path: Path) -> None:
    features = datasets.Features({"picture": datasets.Image(), "label": datasets.Value("string")})
    pictures = [Image.fromarray(PIXELS[0]), None, Image.fromarray(PIXELS[1]), Image.fromarray(PIXELS[2])]
    content = {"picture": pictures, "label": ["a", "a", "b", "b"]}
    (tmp_path / "set").mkdir()
    datasets.Dataset.from_dict(content, features=features).to_parquet(tmp_path / "set" / "train.parquet")
    with pytest.raises(ValueError, match=r"split 'train', row 1 can't be decoded as an image \(the row has no image\)"):
        load_dataset("huggingface", path=str(tmp_path / "set"), test_fraction=0.5)


def test_class_without_images_is_refused(tmp_path: Path) -> None:
    features = datasets.Features({"picture": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})
    root = write(tmp_path / "set", {"label": [0, 1, 0, 1]}, features)
    with pytest.raises(ValueError, match="class 'c' has no image in split 'train'"):
        load_dataset("huggingface", path=str(root), test_fraction=0.5)


def pictures_of(rows: Iterable[int]) -> list[Image.Image]:
    return [Image.fromarray(PIXELS[row]) for row in rows]


def as_before(file: Path, change: Callable[[], object]) -> None:
    """Change a file and set its time back, as `cp -p` and `rsync -t` do."""
    about = file.stat()
    change()
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))


def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLS_ENV_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_table_with_other_contents_and_the_same_time_is_another_set(tmp_path: Path) -> None:
    root = write(tmp_path / "set", {"label": ["a", "b"] * 3}, split="train")
    write(root, {"label": ["a", "b"]}, split="test")
    load_dataset("huggingface", path=str(root), image_size=16)
    as_before(root / "train.parquet", lambda: write(root, {"label": ["b", "b", "a", "a"]}))
    dataset = load_dataset("huggingface", path=str(root), image_size=16)
    assert dataset.train_labels.tolist() == [1, 1, 0, 0] and np.array_equal(dataset.train_images, PIXELS[:4])


def test_image_folder_with_another_image_and_the_same_time_is_another_set(tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    for row, name in enumerate(["train/a/0", "train/b/0", "test/a/0", "test/b/0"]):
        (root / name).parent.mkdir(parents=True)
        Image.fromarray(PIXELS[row]).save(root / f"{name}.png")
    load_dataset("huggingface", path=str(root), image_size=16)
    changed = root / "train" / "b" / "0.png"
    as_before(changed, lambda: Image.fromarray(PIXELS[9]).save(changed))
    dataset = load_dataset("huggingface", path=str(root), image_size=16)
    assert np.array_equal(dataset.train_images, PIXELS[[0, 9]])


def write_references(folder: Path, files: list[Path]) -> Path:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    entries = [{"bytes": None, "path": str(file)} for file in files]
    table = datasets.Dataset.from_dict({"image": entries, "label": [0, 1] * (len(files) // 2)}, features=features)
    folder.mkdir(parents=True)
    from pyarrow import parquet

    parquet.write_table(table.data.table, folder / "train.parquet")
    return folder


def test_images_that_a_table_refers_to_are_part_of_its_contents(tmp_path: Path) -> None:
    files = [tmp_path / "images" / f"{row}.png" for row in range(4)]
    files[0].parent.mkdir()
    for file, picture in zip(files, pictures_of(range(4)), strict=True):
        picture.save(file)
    root = write_references(tmp_path / "one" / "set", files)
    options = {"image_size": 16, "test_fraction": 0.5, "label_column": "label"}
    first = load_dataset("huggingface", path=str(root), **options)
    other = shutil.copytree(root, tmp_path / "other" / "set", copy_function=shutil.copy)
    assert load_dataset("huggingface", path=str(other), **options).path == first.path
    for file in files:
        Image.fromarray(255 - PIXELS[int(file.stem)]).save(file)
    for place in (root, other):
        dataset = load_dataset("huggingface", path=str(place), **options)
        assert np.array_equal(dataset.train_images, 255 - first.train_images)
    files[3].unlink()
    with pytest.raises(ValueError, match=r"row 3 can't be decoded .*3\.png"):
        load_dataset("huggingface", path=str(root), **options)


def test_the_library_reads_a_folder_once_and_leaves_no_tables(
    parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = own_cache(tmp_path, monkeypatch)
    first = load_dataset("huggingface", path=str(parquet), image_size=16)
    assert not list(cache.rglob("*.arrow")) and not list((cache / "stores").glob(".huggingface-*"))
    assert not (tmp_path / "hf").exists()
    copy = shutil.copytree(parquet, tmp_path / "elsewhere" / "set")
    assert load_dataset("huggingface", path=str(copy), image_size=16).path == first.path
    with monkeypatch.context() as patch:
        patch.delattr(datasets, "load_dataset_builder")
        again = load_dataset("huggingface", path=str(parquet), image_size=16, test_split="test", label_column=None)
        assert again.path == first.path
        with pytest.raises(ValueError, match="has no split 'dev', only train, test"):
            load_dataset("huggingface", path=str(parquet), image_size=16, test_split="dev")
    with pytest.raises(ValueError, match="unknown column"):
        load_dataset("huggingface", path=str(parquet), label_column="nope")
    assert not list((cache / "stores").glob(".huggingface-*"))
    assert load_dataset("huggingface", path=str(parquet), image_size=8).train_images.shape == (8, 8, 8, 3)


def test_what_a_killed_load_leaves_is_removed(parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_cache(tmp_path, monkeypatch)
    left = cache_root() / "stores" / ".huggingface-0123.building-scratch" / "tables"
    left.mkdir(parents=True)
    load_dataset("huggingface", path=str(parquet), image_size=16)
    assert not left.parent.exists()
    left.mkdir(parents=True)
    clear_stores()
    assert not left.parent.exists() and not (cache_root() / "digests").exists()


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_files_that_number_their_classes_differently_are_refused(tmp_path: Path, suffix: str) -> None:
    for split, names in (("train", ["cat", "dog"]), ("test", ["dog", "cat"])):
        features = datasets.Features({"picture": datasets.Image(), "kind": datasets.ClassLabel(names=names)})
        content = {"picture": pictures_of(range(4)), "kind": [0, 1, 0, 1]}
        table = datasets.Dataset.from_dict(content, features=features)
        if suffix == "parquet":
            table.to_parquet(tmp_path / "set" / f"{split}.parquet")
        else:
            table.save_to_disk(tmp_path / "set" / split)
    named = r"train\S*\.{0} and \S*test\S*\.{0} number the classes of 'kind' differently, \(cat, dog\) and \(dog, cat\)"
    with pytest.raises(ValueError, match=named.format(suffix)) as caught:
        load_dataset("huggingface", path=str(tmp_path / "set"))
    assert "\n" not in str(caught.value)


def test_many_class_names_are_shown_from_where_they_differ(tmp_path: Path) -> None:
    for split, last in (("train", "x"), ("test", "y")):
        label = datasets.ClassLabel(names=[*map(str, range(20)), last])
        write(
            tmp_path / "set",
            {"label": [20, 20]},
            datasets.Features({"picture": datasets.Image(), "label": label}),
            split,
        )
    with pytest.raises(ValueError, match=r"differently, \(\.\.\. x\) and \(\.\.\. y\): write"):
        load_dataset("huggingface", path=str(tmp_path / "set"))


@pytest.mark.parametrize("as_numbers", [False, True])
def test_labels_in_two_unicode_spellings_are_one_class(tmp_path: Path, as_numbers: bool) -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    label = datasets.ClassLabel(names=[composed, "b", decomposed]) if as_numbers else datasets.Value("string")
    values = [composed, "b", decomposed, decomposed, "b", composed]
    content = {"label": [[composed, "b", decomposed].index(value) if as_numbers else value for value in values]}
    for split in ("train", "test"):
        write(tmp_path / "set", content, datasets.Features({"picture": datasets.Image(), "label": label}), split)
    dataset = load_dataset("huggingface", path=str(tmp_path / "set"), image_size=16)
    assert dataset.class_names == ((composed, "b") if as_numbers else ("b", composed))
    assert [dataset.class_names[number] for number in dataset.train_labels] == [composed, "b"] + [composed] * 2 + [
        "b",
        composed,
    ]


def test_a_set_of_the_hub_belongs_to_its_commit(parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = {name: shutil.copytree(parquet, tmp_path / name / "set") for name in ("old", "new")}
    write(commits["new"], {"kind": [0, 1, 1, 0]}, datasets.Dataset.from_parquet(str(parquet / "test.parquet")).features)
    read, asked = datasets.load_dataset, []

    def fetch(path: str, revision: str | None) -> object:
        asked.append((path, revision))
        return read(str(commits[revision or "new"]))

    monkeypatch.setattr(datasets, "load_dataset", fetch)
    options = {"path": "someone/set", "image_size": 16, "test_fraction": 0.5}
    old = load_dataset("huggingface", revision="old", **options)
    new = load_dataset("huggingface", **options)
    assert asked == [("someone/set", "old"), ("someone/set", None)] and old.name == new.name == "huggingface:set"
    assert (len(old.train_images), len(new.train_images)) == (4, 2)
    assert old.left_out == {"images of the unused split 'test'": 4}
    assert load_dataset("huggingface", revision="new", **options).path == new.path


def test_what_the_library_fails_at_is_said(tmp_path: Path) -> None:
    write(tmp_path / "set", {"label": ["a", "b"]})
    write(tmp_path / "set", {"other": ["a", "b"]}, split="test")
    with pytest.raises(ValueError, match=r"can't give '.*set': .*(column|other|label)"):
        load_dataset("huggingface", path=str(tmp_path / "set"))

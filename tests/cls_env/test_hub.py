"""Sets in Hugging Face's formats, from local files; the hub itself is not asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cls_env import load_dataset

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


def test_splits_are_found_by_their_usual_names(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("validation", 4), ("test", 2)):
        write(tmp_path / "set", {"label": ["a", "b"] * (count // 2)}, split=split)
    dataset = load_dataset("huggingface", path=str(tmp_path / "set"), image_size=16)
    assert dataset.validation_rows is not None and dataset.validation_rows.tolist() == [6, 7, 8, 9]
    assert len(dataset.test_labels) == 2
    (tmp_path / "set" / "test.parquet").unlink()
    alone = load_dataset("huggingface", path=str(tmp_path / "set"), image_size=16)
    assert len(alone.test_labels) == 4 and alone.validation_rows is None

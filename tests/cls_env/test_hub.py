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

"""Which splits of a dataset of the hub are used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cls_env import load_dataset
from tests.cls_env.datasets.loaders.test_huggingface import _own_cache_of_the_library, write  # noqa: F401

datasets = pytest.importorskip("datasets", reason='the extra "hub" is not installed')


def test_splits_are_found_by_their_usual_names(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("validation", 4), ("test", 2)):
        write(tmp_path / "set", {"label": ["a", "b"] * (count // 2)}, split=split)
    dataset = load_dataset("huggingface", path=str(tmp_path / "set"), image_size=16)
    assert dataset.validation_rows is not None and dataset.validation_rows.tolist() == [6, 7, 8, 9]
    assert len(dataset.test_labels) == 2
    (tmp_path / "set" / "test.parquet").unlink()
    alone = load_dataset("huggingface", path=str(tmp_path / "set"), image_size=16)
    assert len(alone.test_labels) == 4 and alone.validation_rows is None


@pytest.fixture
def three_splits(tmp_path: Path) -> Path:
    for split, count in (("train", 6), ("validation", 4), ("test", 2)):
        write(tmp_path / "set", {"label": ["a", "b"] * (count // 2)}, split=split)
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_fraction": 0.25, "validation_split": "nope"}, "no split 'nope', only train, validation, test"),
        ({"validation_split": "nope"}, "no split 'nope', only train, validation, test"),
        ({"train_split": "nope"}, "no split 'nope', only train, validation, test"),
        ({"test_split": ""}, "no split '', only train, validation, test"),
        ({"test_fraction": 0.25, "test_split": "test"}, "test_split='test' and test_fraction can't be combined"),
        ({"test_split": "train"}, "train_split and test_split are both 'train'; give each a split of its own"),
        ({"validation_split": "train"}, "train_split and validation_split are both 'train'"),
        ({"test_split": "test", "validation_split": "test"}, "test_split and validation_split are both 'test'"),
        ({"revision": "main"}, "is a local folder, which has no revisions: remove revision='main'"),
    ],
)
def test_arguments_that_can_not_be_followed_are_refused(
    three_splits: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        load_dataset("huggingface", path=str(three_splits), **options)


def test_a_split_that_is_named_for_one_use_is_taken_for_no_other(three_splits: Path) -> None:
    (three_splits / "test.parquet").unlink()
    for taken in ({"validation_split": "validation"}, {"train_split": "validation"}):
        with pytest.raises(
            ValueError, match="no split left for testing, only train, validation; name one by test_split"
        ):
            load_dataset("huggingface", path=str(three_splits), **taken)


def test_rows_of_unused_splits_are_counted(three_splits: Path) -> None:
    def counts(**options: object) -> tuple[int, int, int, dict[str, int]]:
        dataset = load_dataset("huggingface", path=str(three_splits), image_size=16, **options)
        held = 0 if dataset.validation_rows is None else len(dataset.validation_rows)
        return len(dataset.train_labels) - held, held, len(dataset.test_labels), dict(dataset.left_out)

    assert counts() == (6, 4, 2, {})
    validation, test = (
        {f"images of the unused split {name!r}": count} for name, count in (("validation", 4), ("test", 2))
    )
    assert counts(test_fraction=0.34) == (4, 0, 2, validation | test)
    assert counts(test_fraction=0.34, validation_split="validation") == (4, 4, 2, test)
    assert counts(test_split="validation") == (6, 0, 4, test)

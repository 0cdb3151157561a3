"""The limits of archives are options, and good archives are within the usual ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cls_env import load_dataset
from cls_env.bounded.arrays import map_npy, read_npy, read_npz
from cls_env.bounded.limits import ArchiveLimits, check_file_size
from experiments.saved_models.labeled_images import find_labeled_images


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_files": 0}, "max_files must be a whole number of at least 1, not 0"),
        ({"max_bytes": 0.5}, "max_bytes must be a whole number"),
        ({"max_ratio": 0.5}, "max_ratio must be in"),
        ({"max_ratio": float("nan")}, "max_ratio must be in"),
    ],
)
def test_a_limit_is_at_least_one(limits: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ArchiveLimits(**limits)


def test_limits_are_options_of_the_loader(image_zip: Path) -> None:
    assert len(load_dataset("folder", root=image_zip, image_size=8).train_labels) == 24
    with pytest.raises(ValueError, match="holds more than 3 files: raise max_files"):
        load_dataset("folder", root=image_zip, image_size=9, max_files=3)


def test_limits_do_not_change_the_store(image_zip: Path) -> None:
    usual = load_dataset("folder", root=image_zip, image_size=8)
    assert load_dataset("folder", root=image_zip, image_size=8, max_files=1_000).path == usual.path  # type: ignore[attr-defined]


def test_limits_are_options_of_an_evaluation(image_zip: Path, tmp_path: Path) -> None:
    assert find_labeled_images(image_zip, ["max_files=1000"], "test", tmp_path).images
    with pytest.raises(ValueError, match="raise max_bytes if you trust it"):
        find_labeled_images(image_zip, ["max_bytes=1000"], "test", tmp_path)


def test_a_file_of_two_gibibytes_is_read() -> None:
    check_file_size(2**31)
    with pytest.raises(ValueError, match="more than the 2,147,483,648 of the largest image"):
        check_file_size(2**31 + 1)


@pytest.mark.parametrize(
    "array", [np.arange(6).reshape(2, 3), np.zeros((0, 3)), np.float32(2), np.array(["a"])], ids=str
)
def test_arrays_are_read_as_they_were_written(array: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", a=array)
    for read in (read_npy(tmp_path / "a.npy"), read_npz(tmp_path / "a.npz")["a"]):
        assert read.dtype == np.asarray(array).dtype and np.array_equal(read, array)
    if np.size(array):
        assert np.array_equal(map_npy(tmp_path / "a.npy"), array)

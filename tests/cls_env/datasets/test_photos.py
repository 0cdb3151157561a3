"""The embedded photographs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from cls_env import DATASETS, load_dataset
from cls_env.datasets.photos import archive
from cls_env.datasets.photos.__main__ import EXCLUDED, chosen_images
from cls_env.datasets.photos.archive import PER_CLASS, PHOTOS, SIDE, read_photos, write_photos


def test_photos_are_what_their_card_says() -> None:
    photos, card = load_dataset("photos"), DATASETS["photos"]
    assert (len(photos.train_images), len(photos.test_images)) == card.images and len(
        photos.class_names
    ) == card.classes
    assert photos.train_images.shape[1:] == (card.image_size, card.image_size, 3)
    assert set(np.bincount(photos.train_labels)) == {20} and set(np.bincount(photos.test_labels)) == {10}
    assert not {"Faces", "Faces_easy", "BACKGROUND_Google"} & set(photos.class_names)


def test_no_photo_is_there_twice() -> None:
    photos = load_dataset("photos")
    pixels = [hashlib.sha256(image).digest() for image in (*photos.train_images, *photos.test_images)]
    assert len(set(pixels)) == len(pixels)


def test_file_is_small_and_its_hash_is_documented() -> None:
    assert PHOTOS.stat().st_size < 6_000_000
    assert hashlib.sha256(PHOTOS.read_bytes()).hexdigest() in (PHOTOS.parent / "LICENSE.md").read_text()


def test_fewer_images_are_the_first_ones() -> None:
    photos = load_dataset("photos")
    few = load_dataset("photos", num_classes=3, train_per_class=2, test_per_class=1)
    assert few.class_names == photos.class_names[:3]
    assert np.array_equal(few.train_images, photos.train_images[[0, 1, 20, 21, 40, 41]])
    assert np.array_equal(few.test_images, photos.test_images[[0, 10, 20]]) and few.test_labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 100}, r"photos: num_classes must be in 1 \.\.\. 99, not 100"),
        ({"train_per_class": 21}, r"photos: train_per_class must be in 1 \.\.\. 20, not 21"),
        ({"test_per_class": 0}, "test_per_class must be a whole number of at least 1, not 0"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_dataset("photos", **arguments)


def test_environment_has_the_usual_numbers_of_tasks() -> None:
    env = gym.make("cls_env/SplitPhotos-v0")
    assert env.observation_space.shape == (SIDE, SIDE, 3) and env.action_space.n == 99
    sizes = [len(task.classes) for task in gym.make("cls_env/SplitPhotos-v0", num_tasks=10).unwrapped.stream.tasks]
    assert len(sizes) == 10 and sum(sizes) == 99 and max(sizes) - min(sizes) <= 1


def test_the_file_is_made_from_a_tree_of_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PER_CLASS, "train", 2)
    monkeypatch.setitem(PER_CLASS, "test", 1)
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("test", 2)):
        for name in ("cup", "lamp", EXCLUDED[0]):
            folder = tmp_path / "tree" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                color = rng.integers(256, size=3, dtype=np.uint8)
                Image.fromarray(np.full((SIDE, SIDE + 10, 3), color)).save(folder / f"{index}.png")
    chosen = chosen_images(str(tmp_path / "tree"))
    assert {split: sorted(classes) for split, classes in chosen.items()} == {
        split: ["cup", "lamp"] for split in ("train", "test")
    }
    write_photos(tmp_path / "one.zip", chosen)
    write_photos(tmp_path / "two.zip", chosen_images(str(tmp_path / "tree")))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert archive.class_names(tmp_path / "one.zip") == ("cup", "lamp")
    images, labels = read_photos(tmp_path / "one.zip", "train", ("cup", "lamp"), 2)
    assert labels.tolist() == [0, 0, 1, 1]
    written = np.concatenate([chosen["train"]["cup"], chosen["train"]["lamp"]])
    assert np.abs(images.astype(int) - written).mean() < 4  # WebP is lossy


def test_a_class_with_too_few_images_is_named(image_tree: Path) -> None:
    with pytest.raises(ValueError, match=r"has \d train images, less than 20"):
        chosen_images(str(image_tree))

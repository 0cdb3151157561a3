"""A stored dataset, and every environment over it, know how its images were decoded."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import gymnasium as gym

from cls_env import ImageDataset, TaskStream, load_dataset
from cls_env.datasets.domain_shifts import shift_domains
from cls_env.datasets.files.decoding import Decoding
from cls_env.datasets.storage.store import open_store

OPTIONS = {"resize": "squash", "interpolation": "bilinear", "background": "#102030", "bit_depth": 12}


def test_dataset_and_environments_know_the_decoding(image_tree: Path) -> None:
    dataset = load_dataset("folder", root=image_tree, image_size=20, **OPTIONS)
    wanted = Decoding(20, **OPTIONS)
    stream = TaskStream(dataset, 2)
    single = gym.make("cls_env/ClassIncremental-v0", dataset=stream)
    several = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=2, dataset=stream)
    assert dataset.decoding == single.unwrapped.image_decoding == several.unwrapped.image_decoding == wanted
    assert pickle.loads(pickle.dumps(dataset)).decoding == wanted
    assert shift_domains(dataset, ["identity", "rotate-90"], 0).decoding == wanted


def test_a_store_of_an_earlier_version_is_known_in_full_when_it_is_loaded(image_tree: Path) -> None:
    dataset = load_dataset("folder", root=image_tree, image_size=21, **OPTIONS)
    card = json.loads((dataset.path / "store.json").read_text(encoding="utf-8"))
    del card["background"], card["bit_depth"]
    (dataset.path / "store.json").write_text(json.dumps(card), encoding="utf-8")
    again = load_dataset("folder", root=image_tree, image_size=21, **OPTIONS)
    assert again.path == dataset.path and again.decoding == Decoding(21, **OPTIONS)
    assert open_store(dataset.path).decoding == Decoding(21, "squash", "bilinear")


def test_images_of_arrays_were_not_decoded(glyphs: ImageDataset) -> None:
    assert glyphs.decoding is None
    assert gym.make("cls_env/ClassIncremental-v0", dataset=TaskStream(glyphs, 3)).unwrapped.image_decoding is None

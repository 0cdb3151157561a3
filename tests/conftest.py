"""Small real parts that many tests share."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from PIL import Image

from cls_env import ImageDataset, TaskStream, load_dataset
from tests.pretend_gpu import Traffic, pretend_gpu


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images go to a folder of this session, in subprocesses too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLS_ENV_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("CLS_ENV_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True)
def _deterministic() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def gpu() -> Iterator[Traffic]:
    """A pretend GPU, and its traffic."""
    with pretend_gpu() as traffic:
        yield traffic


@pytest.fixture(scope="session")
def glyphs() -> ImageDataset:
    """Six easy glyph classes, 12 train and 5 test images each, without the margin."""
    return load_dataset("glyphs", num_classes=6, train_per_class=12, test_per_class=5, hard_fraction=0.0, margin=0)


@pytest.fixture(scope="session")
def stream(glyphs: ImageDataset) -> TaskStream:
    """Three tasks of two classes."""
    return TaskStream(glyphs, 3, seed=1)


@pytest.fixture(scope="session")
def make_vec(stream: TaskStream) -> Callable[..., gym.vector.VectorEnv]:
    """`make_vec(num_envs, **arguments)` over the small stream."""

    def make(num_envs: int = 8, **arguments: object) -> gym.vector.VectorEnv:
        return gym.make_vec("cls_env/ClassIncremental-v0", num_envs=num_envs, **({"dataset": stream} | arguments))

    return make


@pytest.fixture(scope="session")
def image_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ImageFolder tree: four classes, six train and three test images each, of several sizes and modes."""
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for number, name in enumerate(("apple", "brücke", "cat", "dog")):
        for split, count in (("train", 6), ("test", 3)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 60, size=(40 + index, 50, 3), dtype=np.uint8)
                pixels[..., number % 3] += np.uint8(60 * (1 + number))
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


@pytest.fixture(scope="session")
def image_zip(image_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tree in a zip."""
    archive = tmp_path_factory.mktemp("zips") / "images.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        for file in sorted(image_tree.rglob("*.png")):
            writer.write(file, file.relative_to(image_tree))
    return archive

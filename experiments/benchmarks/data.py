"""Images a second of a store behind the native vector env against a DataLoader of files and a bare `numpy.take`."""

from __future__ import annotations

import json
import mmap
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, PILToTensor, Resize

from cls_env import ImageDataset, TaskStream, load_dataset
from cls_env.datasets.paths import CACHE_VARIABLE
from cls_env.datasets.storage.store import StoredDataset, open_store
from cls_env.datasets.storage.store_build import FORMAT
from experiments.benchmarks.measuring import Measurement, Side, compare_rates

CLASSES = 4
WORKERS = 2
TILES = {32: (1, 1), 224: (8, 10)}  # rows and columns of glyphs in the files: 32 x 32 and 256 x 320 pixels
LARGE_SIDE = 256
STATM = Path("/proc/self/statm")


def benchmark_data(
    repeats: int, images: int = 1024, batch_size: int = 256, batches: int = 64, large: int = 24_000
) -> list[Measurement]:
    """Serve the same JPEG files at 32 and at 224 pixels, from a temporary folder, and open a large store.

    Args:
        repeats: How often each side is timed.
        images: Training images of each size.
        batch_size: Images a step of each side.
        batches: Steps of the vector env and calls of `numpy.take`; the DataLoader makes one pass over the files.
        large: Images of 256 x 256 pixels in the store that is opened.

    Returns:
        Images a second compared with a DataLoader of two processes, which decodes the files, and with `numpy.take` of
        random rows of the same memory-mapped file; the milliseconds in which the large store opens; and, on Linux,
        the MiB by which resident memory grows while the env steps through it.
    """
    with tempfile.TemporaryDirectory() as name, _cache(Path(name) / "cache"):
        folder = Path(name)
        # First of all, while this process has no freed memory that would hide its growth.
        opening = _open_large(_sparse_store(folder / "large", large), batch_size, batches, repeats)
        ratios = (_compare(folder / f"{side}", side, images, batch_size, batches, repeats) for side in TILES)
        return [*chain.from_iterable(ratios), *opening]


def mosaics(count: int, rows: int, columns: int) -> NDArray[np.uint8]:
    """Images of `rows` x `columns` random glyphs, uint8 [count, 32 rows, 32 columns, 3]."""
    glyphs: NDArray[np.uint8] = load_dataset("glyphs", margin=0).train_images[:]
    chosen = np.random.default_rng(0).integers(len(glyphs), size=(count, rows, columns))
    height, width = glyphs.shape[1:3]
    return glyphs[chosen].transpose(0, 1, 3, 2, 4, 5).reshape(count, rows * height, columns * width, 3)


@contextmanager
def _cache(folder: Path) -> Iterator[None]:
    """Keep stores in a folder for a while."""
    before = os.environ.get(CACHE_VARIABLE)
    os.environ[CACHE_VARIABLE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CACHE_VARIABLE]
        else:
            os.environ[CACHE_VARIABLE] = before


def _compare(root: Path, side: int, images: int, batch_size: int, batches: int, repeats: int) -> list[Measurement]:
    _write_files(root, mosaics(images, *TILES[side]))
    dataset = load_dataset("folder", root=root, image_size=side)
    assert isinstance(dataset, StoredDataset)
    mapped = open_store(dataset.path).train_images  # a mapping of its own: the env hands the pages of its own back
    store = _stepping(_vector_env(dataset, batch_size), batches)
    others = {
        "DataLoader": _loading(root / "train", side, batch_size),
        "numpy.take": _taking(mapped, batch_size, batches),
    }
    return [
        compare_rates(f"store / {name} {side}", store, other, "images/s", repeats) for name, other in others.items()
    ]


def _write_files(root: Path, images: NDArray[np.uint8]) -> None:
    """JPEG files in `train/` and, one for each class, in `test/`."""
    for split, chosen in (("train", images), ("test", images[:CLASSES])):
        for index, image in enumerate(chosen):
            folder = root / split / f"{index % CLASSES}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{index}.jpg", quality=90)


def _vector_env(dataset: ImageDataset, batch_size: int) -> VectorEnv[Any, Any, Any]:
    return gym.make_vec("cls_env/ClassIncremental-v0", num_envs=batch_size, dataset=TaskStream(dataset, 1))


def _stepping(env: VectorEnv[Any, Any, Any], batches: int) -> Side:
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(CLASSES, size=(batches, env.num_envs))

    def side() -> int:
        for row in actions:
            env.step(row)
        return int(actions.size)

    return side


def _loading(root: Path, side: int, batch_size: int) -> Side:
    """One pass of a DataLoader whose processes stay alive between passes."""
    transform = Compose([Resize(side), CenterCrop(side), PILToTensor()])
    files = ImageFolder(str(root), transform)
    loader = DataLoader(files, batch_size, shuffle=True, num_workers=WORKERS, persistent_workers=True)
    return lambda: sum(len(batch) for batch, _ in loader)


def _taking(images: Any, batch_size: int, batches: int) -> Side:
    chosen = np.random.default_rng(0).integers(len(images), size=(batches, batch_size))

    def side() -> int:
        for rows in chosen:
            np.take(images, rows, axis=0)
        return int(chosen.size)

    return side


def _open_large(store: Path, batch_size: int, batches: int, repeats: int) -> list[Measurement]:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        dataset = open_store(store)
        times.append((time.perf_counter() - started) * 1e3)
    setting = f"{len(dataset.train_images):,} images, {LARGE_SIDE} px"
    spread = min(times), max(times)
    rows = [Measurement(f"opening a store, {setting}", None, statistics.median(times), None, "ms", repeats, spread)]
    if STATM.exists():
        grown = _memory_growth(_vector_env(dataset, batch_size), batches)
        rows.append(
            Measurement(f"memory grown by {batches} steps, {setting}", None, grown, None, "MiB", 1, (grown, grown))
        )
    return rows


def _sparse_store(folder: Path, count: int) -> Path:
    """A store whose pixels are holes in a file: as large as it says, and nothing on the disk."""
    folder.mkdir()
    for split, images in (("train", count), ("test", CLASSES)):
        shape = images, LARGE_SIDE, LARGE_SIDE, 3
        np.lib.format.open_memmap(folder / f"{split}_images.npy", mode="w+", dtype=np.uint8, shape=shape)
        np.save(folder / f"{split}_labels.npy", np.arange(images) % CLASSES)
        np.save(folder / f"{split}_domains.npy", np.zeros(images, dtype=np.int64))
    names = [str(label) for label in range(CLASSES)]
    card = {"format": FORMAT, "name": "sparse", "class_names": names, "domain_names": [], "images_sha256": "0"}
    (folder / "store.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


def _memory_growth(env: VectorEnv[Any, Any, Any], batches: int) -> float:
    """The most MiB by which this process outgrew, after one of the steps, what it had before them."""
    env.reset(seed=0)
    actions = np.zeros(env.num_envs, dtype=np.int64)
    before = peak = _resident()
    for _ in range(batches):
        env.step(actions)
        peak = max(peak, _resident())
    return peak - before


def _resident() -> float:
    """Resident memory of this process, in MiB."""
    return int(STATM.read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE / 2**20

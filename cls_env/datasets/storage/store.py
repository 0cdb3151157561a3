"""Stores of decoded images on disk: written once, then memory-mapped.

A store is a folder of plain NumPy files under the user's cache directory:

train_images.npy, test_images.npy     uint8 of shape (N, side, side, 3)
train_labels.npy, test_labels.npy     int64 of shape (N,), and *_domains.npy for domains
store.json                            decoding options, names, what was left out, and the hash of the pixels
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock

from cls_env.bounded.arrays import map_npy, read_npy
from cls_env.bounded.json_text import read_json
from cls_env.datasets.files.archives import close_archives
from cls_env.datasets.files.decoding import Decoding
from cls_env.datasets.files.listing import FileList
from cls_env.datasets.files.load_report import LoadReport
from cls_env.datasets.image_dataset import ImageDataset
from cls_env.datasets.paths import CACHE_VARIABLE, cache_root
from cls_env.datasets.storage.store_build import FORMAT, ON_ERROR, StoreOptions, build_store
from cls_env.datasets.storage.temporary_folders import remove_abandoned

MOST_NAME_BYTES = 80
MOST_CARD_BYTES = 2**30
"""The largest `store.json`, which has a line for each image that was skipped."""
ListFiles = Callable[[Path, LoadReport], FileList]


class StoredDataset(ImageDataset):
    """A dataset whose pixels stay on disk. A pickle of it contains only the store's path."""

    path: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """Let other processes map the same files."""
        return open_store, (self.path,)


class StoreEntry(NamedTuple):
    """A store in the cache: its path, dataset name, number of images and left-out files, and size in bytes."""

    path: Path
    name: str
    images: int
    skipped: int
    bytes: int


def cache_folder() -> Path:
    """The folder of the stores, in `$CLS_ENV_CACHE` or the user's cache folder."""
    return cache_root() / "stores"


def open_or_build_store(
    name: str,
    source: str,
    list_files: ListFiles,
    options: StoreOptions,
    unchanged: Callable[[], bool] = lambda: True,
) -> StoredDataset:
    """Open the store of a dataset, after building it if there is none.

    Processes that need the same store at the same time build it once. A killed build leaves nothing that a later build
    would use.

    Args:
        name: Name of the dataset.
        source: Identifies the images and their split, for example by `SourceFiles.digest`. Each source has its own
            store.
        list_files: Lists the images for a build, given a folder for temporary files and a report that counts what is
            left out.
        options: Decoding options.
        unchanged: Returns whether the source has not changed during a build.

    Raises:
        ValueError: An image can't be decoded, a split has no images left, or files changed while they were read.
        OSError: The disk is full or can't be written.
    """
    key = sha256(json.dumps([FORMAT, source, options.identity]).encode()).hexdigest()[:16]
    plain = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name)
    plain = plain.encode()[:MOST_NAME_BYTES].decode(errors="ignore")
    path = cache_folder() / f"{plain}-{options.image_size}px-{key}"
    if not path.exists():
        make_cache(path.parent)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not path.exists():
                for left in path.parent.glob(f".{path.name}.building-*"):
                    shutil.rmtree(left, ignore_errors=True)  # left by a killed build: this process holds the lock
                with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.building-") as tmp_dir:
                    report = LoadReport(skip=ON_ERROR[options.on_error])
                    file_list = list_files(Path(tmp_dir), report)
                    built = build_store(Path(tmp_dir), name, file_list, options, report)
                    close_archives()
                    if not unchanged():
                        raise ValueError(f"{name}: files changed while they were read; load it again")
                    built.rename(path)
    dataset = open_store(path)
    object.__setattr__(dataset, "name", name)  # the store may have been built under another name
    object.__setattr__(dataset, "decoding", options.decoding)  # which the store of an earlier version holds in part
    return dataset


def open_store(path: Path) -> StoredDataset:
    """Map the files of a store, without reading pixels or checking their hash.

    Raises:
        ValueError: It is not a complete store of this version.
    """
    try:
        card = read_json(path / "store.json", MOST_CARD_BYTES)
        train, test = (map_npy(path / f"{split}_images.npy") for split in ("train", "test"))
        train_labels, test_labels, train_domains, test_domains = (
            read_npy(path / f"{split}_{part}.npy") for part in ("labels", "domains") for split in ("train", "test")
        )
        if card["format"] != FORMAT:
            raise ValueError(f"it has format {card['format']}, not {FORMAT}")
        images_sha256 = card["images_sha256"]
        domain_names = tuple(card["domain_names"])
        held_out = int(card.get("validation_images", 0))
        if not 0 <= held_out <= len(train):
            raise ValueError(f"it has {len(train)} training images, of which {held_out} are for validation")
        dataset = StoredDataset(
            name=card["name"],
            train_images=train,
            train_labels=train_labels,
            test_images=test,
            test_labels=test_labels,
            class_names=tuple(card["class_names"]),
            train_domains=train_domains if domain_names else None,
            test_domains=test_domains if domain_names else None,
            domain_names=domain_names,
            validation_rows=np.arange(len(train) - held_out, len(train)) if held_out else None,
            left_out=dict(card.get("left_out", {})),
            remarks=dict(card.get("remarks", {})),
            decoding=_decoding(card, train.shape[1]),
        )
    except (OSError, KeyError, ValueError, TypeError, EOFError) as error:
        raise ValueError(
            f"the store {path} is damaged ({error}); `cls-env cache clear {path.name}` removes it for a new build"
        ) from error
    object.__setattr__(dataset, "path", path)
    object.__setattr__(dataset, "images_sha256", images_sha256)
    return dataset


def _decoding(card: dict[str, Any], side: int) -> Decoding:
    """How the images of a store were decoded. What an earlier version did not write has its default."""
    named = (field.name for field in fields(Decoding))
    return Decoding(**({"image_size": side} | {name: card[name] for name in named if name in card}))


def list_stores() -> list[StoreEntry]:
    """All stores in the cache, by name. Of a damaged store only the size is known."""
    entries = []
    for folder in sorted(path for path in cache_folder().glob("[!.]*") if path.is_dir()):
        size = sum(file.stat().st_size for file in folder.iterdir())
        try:
            about = read_json(folder / "store.json", MOST_CARD_BYTES)
            entries.append(StoreEntry(folder, about["name"], about["images"], len(about["skipped"]), size))
        except (OSError, ValueError, KeyError, TypeError):
            entries.append(StoreEntry(folder, "(damaged)", 0, 0, size))
    return entries


def matching_stores(name: str | None = None) -> list[StoreEntry]:
    """All stores, those of one dataset, or one store by its folder's name."""
    return [entry for entry in list_stores() if name is None or name in (entry.name, entry.path.name)]


def clear_stores(name: str | None = None) -> list[StoreEntry]:
    """Remove all stores, those of one dataset, or one store by its folder's name. Also remove unfinished builds.

    Returns:
        The removed stores.
    """
    gone = matching_stores(name)
    for path in (entry.path for entry in gone):
        aside = path.with_name(f".{path.name}.building-removed-{os.getpid()}")
        path.rename(aside)  # atomic, so that no process finds a partial store
        shutil.rmtree(aside)
    if name is None:
        shutil.rmtree(cache_root() / "digests", ignore_errors=True)
    remove_abandoned(cache_folder())
    return gone


def make_cache(folder: Path) -> None:
    """Make a folder of the cache if it does not exist.

    Raises:
        OSError: It can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"the cache {folder} can't be written ({error}): set {CACHE_VARIABLE} to another folder"
        ) from error

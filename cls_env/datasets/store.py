"""Decoded images on disk: written once, aside, moved into place when whole, and memory-mapped ever after.

A store is a folder of plain NumPy files under the user's cache directory:

train_images.npy, test_images.npy     uint8 of shape (N, side, side, 3)
train_labels.npy, test_labels.npy     int64 of shape (N,), and *_domains.npy where the set has domains
store.json                            what it was made of, the names, the hash of the pixels
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from joblib import Parallel, delayed
from numpy.lib import format as npy
from numpy.typing import NDArray
from platformdirs import user_cache_path
from tqdm import tqdm

from cls_env.datasets.decoding import RESIZE_RULES, ImageReader, read_square
from cls_env.datasets.image_dataset import ImageDataset
from cls_env.datasets.listing import Listing, Row
from cls_env.datasets.trees import close_archives
from cls_env.naming import lookup
from cls_env.processes import end_with

CACHE_VARIABLE = "CLS_ENV_CACHE"
FORMAT = 1
CHUNK = 32
MOST_NAME_BYTES = 80
FEW_IMAGES = 512  # fewer than these are decoded sooner than processes start
IDLE_SECONDS = 5  # after which decoding processes go
ON_ERROR = {"raise": False, "skip": True}
Decoded = tuple[list[NDArray[np.uint8]], list[Row], list[str]]


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """How the images of a set are decoded.

    Attributes:
        image_size: Side of the square images, in pixels.
        resize: A key of `RESIZE_RULES`.
        on_error: `"raise"` stops at a file that can't be decoded; `"skip"` leaves it out, counts it and names it in
            `store.json`.
        workers: Decoding processes; by default one for each core.
    """

    image_size: int
    resize: str = "crop"
    on_error: str = "raise"
    workers: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.image_size, int) or self.image_size < 1:
            raise ValueError(f"image_size is the side of square images in whole pixels, not {self.image_size!r}")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1, not {self.workers}")
        lookup("resize rule", self.resize, RESIZE_RULES)
        lookup("on_error", self.on_error, ON_ERROR)


class StoredDataset(ImageDataset):
    """An image set whose pixels stay on disk; a pickle of it holds the store's path alone."""

    path: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes map the same files."""
        return open_store, (self.path,)


class StoreEntry(NamedTuple):
    """One line of the cache's list."""

    path: Path
    name: str
    images: int
    skipped: int
    bytes: int


def cache_folder() -> Path:
    """Where stores are kept: `$CLS_ENV_CACHE`, or the user's cache directory."""
    given = os.environ.get(CACHE_VARIABLE)
    return (Path(given).expanduser().absolute() if given else user_cache_path("cls-env")) / "stores"


def stored(name: str, source: str, make_listing: Callable[[Path], Listing], options: StoreOptions) -> StoredDataset:
    """Open the store of a set, building it first if there is none.

    Processes that ask for one store at the same time build it once. A build that is killed leaves nothing that a later
    one would trust.

    Args:
        name: Of the set.
        source: What identifies the images and their split, such as `trees.stamp`; another source is another store.
        make_listing: Called for a build only; may use the folder it is given for temporary files.
        options: How to decode.

    Raises:
        ValueError: An image can't be decoded, or none is left in a split.
        OSError: The disk has no room, or can't be written.
    """
    identity = [FORMAT, source, options.image_size, options.resize, options.on_error]
    key = sha256(json.dumps(identity).encode()).hexdigest()[:16]
    plain = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name)
    plain = plain.encode()[:MOST_NAME_BYTES].decode(errors="ignore")
    place = cache_folder() / f"{plain}-{options.image_size}px-{key}"
    if not place.exists():
        _make_cache(place.parent)
        with FileLock(place.with_name(f".{place.name}.lock")):
            if not place.exists():
                for left in place.parent.glob(f".{place.name}.building-*"):
                    shutil.rmtree(left, ignore_errors=True)  # of a build that was killed: we hold the lock
                with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.building-") as room:
                    _build(Path(room), name, make_listing, options).rename(place)
                    close_archives()
    return open_store(place)


def open_store(path: Path) -> StoredDataset:
    """Map the files of a store; no pixel is read, nor held against the recorded hash.

    Raises:
        ValueError: It is not a whole store of this version.
    """
    try:
        card = json.loads((path / "store.json").read_text(encoding="utf-8"))
        train, test = (np.load(path / f"{split}_images.npy", mmap_mode="r") for split in ("train", "test"))
        train_labels, test_labels, train_domains, test_domains = (
            np.load(path / f"{split}_{part}.npy") for part in ("labels", "domains") for split in ("train", "test")
        )
        if card["format"] != FORMAT:
            raise ValueError(f"it is of format {card['format']}, not {FORMAT}")
        for images in (train, test):
            if Path(images.filename).stat().st_size != images.offset + images.nbytes:
                raise ValueError(f"{Path(images.filename).name} is of another length than it says")
        images_sha256 = card["images_sha256"]
        domain_names = tuple(card["domain_names"])
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
        )
    except (OSError, KeyError, ValueError, TypeError, EOFError) as error:
        raise ValueError(
            f"the store {path} is damaged ({error}); `cls-env cache clear {path.name}` removes it, to be built anew"
        ) from error
    object.__setattr__(dataset, "path", path)
    object.__setattr__(dataset, "images_sha256", images_sha256)
    return dataset


def list_stores() -> list[StoreEntry]:
    """All stores in the cache, by name; of a damaged one only the size is known."""
    entries = []
    for folder in sorted(path for path in cache_folder().glob("[!.]*") if path.is_dir()):
        size = sum(file.stat().st_size for file in folder.iterdir())
        try:
            about = json.loads((folder / "store.json").read_text(encoding="utf-8"))
            entries.append(StoreEntry(folder, about["name"], about["images"], len(about["skipped"]), size))
        except (OSError, ValueError, KeyError, TypeError):
            entries.append(StoreEntry(folder, "(damaged)", 0, 0, size))
    return entries


def clear_stores(name: str | None = None) -> list[StoreEntry]:
    """Remove the stores of a set, one store by its folder's name, or all; and what killed builds left.

    Returns:
        What was removed.
    """
    gone = [entry for entry in list_stores() if name is None or name in (entry.name, entry.path.name)]
    for place in (entry.path for entry in gone):
        aside = place.with_name(f".{place.name}.building-removed-{os.getpid()}")
        place.rename(aside)  # at once, so that no process finds half a store
        shutil.rmtree(aside)
    for left in cache_folder().glob(".*.building-*"):
        try:
            with FileLock(left.with_name(f"{left.name.partition('.building-')[0]}.lock"), timeout=0):
                shutil.rmtree(left, ignore_errors=True)
        except Timeout:  # it is being built at this moment
            continue
    return gone


def _build(room: Path, name: str, make_listing: Callable[[Path], Listing], options: StoreOptions) -> Path:
    """A whole store in a folder of `room`."""
    listing = make_listing(room)
    _check_labels(name, listing)
    _check_disk(room, len(listing.train) + len(listing.test), options.image_size)
    folder = room / "store"
    folder.mkdir()
    digest, skipped, count = sha256(), [], 0
    with tqdm(desc=f"decoding {name}", total=len(listing.train) + len(listing.test), unit=" images") as bar:
        for split, rows in (("train", listing.train), ("test", listing.test)):
            kept, failures = _write_images(folder / f"{split}_images.npy", listing.reader, rows, options, digest, bar)
            if lost := {row.label for row in rows} - {row.label for row in kept}:
                lost_class = listing.class_names[min(lost)]
                raise ValueError(f"{name}: the {split} split has no image of class {lost_class!r} that can be decoded")
            np.save(folder / f"{split}_labels.npy", np.array([row.label for row in kept], dtype=np.int64))
            np.save(folder / f"{split}_domains.npy", np.array([row.domain for row in kept], dtype=np.int64))
            skipped += failures
            count += len(kept)
    card = {
        "format": FORMAT,
        "name": name,
        "image_size": options.image_size,
        "resize": options.resize,
        "images": count,
        "skipped": skipped,
        "class_names": listing.class_names,
        "domain_names": listing.domain_names,
        "images_sha256": digest.hexdigest(),
    }
    (folder / "store.json").write_text(json.dumps(card, indent=1, ensure_ascii=False), encoding="utf-8")
    for file in folder.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    if skipped:
        tqdm.write(f"{name}: {len(skipped)} files could not be decoded and were left out: {skipped[0]}, ...")
    return folder


def _write_images(
    file: Path, reader: ImageReader, rows: Sequence[Row], options: StoreOptions, digest: Any, bar: Any
) -> tuple[list[Row], list[str]]:
    """Decode rows into a `.npy` file; the rows kept, and what went wrong with the others."""
    kept: list[Row] = []
    failures: list[str] = []
    shape = options.image_size, options.image_size, 3
    with file.open("wb") as out:
        _write_header(out, (len(rows), *shape))
        for images, good, bad in _decoded(reader, rows, options):
            for image in images:
                out.write(image.data)
                digest.update(image.data)
            kept += good
            failures += bad
            bar.update(len(good) + len(bad))
        out.seek(0)
        _write_header(out, (len(kept), *shape))  # NumPy leaves room for the count, so that the length is the same
    return kept, failures


def _write_header(out: Any, shape: tuple[int, ...]) -> None:
    npy.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _decoded(reader: ImageReader, rows: Sequence[Row], options: StoreOptions) -> Iterator[Decoded]:
    """Chunks of decoded rows, in order."""
    chunks = (rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK))
    workers = 1 if len(rows) < FEW_IMAGES else options.workers or os.cpu_count() or 1
    pool = Parallel(n_jobs=workers, backend="loky", return_as="generator", idle_worker_timeout=IDLE_SECONDS)
    results: Iterator[Decoded] = pool(delayed(_decode_chunk)(reader, chunk, options, os.getpid()) for chunk in chunks)
    return results


def _decode_chunk(reader: ImageReader, rows: Sequence[Row], options: StoreOptions, builder: int) -> Decoded:
    if os.getpid() != builder:
        end_with(builder)
    images, kept, failures = [], [], []
    for row in rows:
        try:
            images.append(read_square(reader, row.reference, options.image_size, options.resize))
            kept.append(row)
        except ValueError as error:
            if not ON_ERROR[options.on_error]:
                raise
            failures.append(str(error))
    return images, kept, failures


def _make_cache(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"the cache {folder} can't be written ({error}): set {CACHE_VARIABLE} to another folder"
        ) from error


def _check_labels(name: str, listing: Listing) -> None:
    classes = len(listing.class_names)
    for split, rows in (("train", listing.train), ("test", listing.test)):
        if not rows:
            raise ValueError(f"{name}: the {split} split has no images")
        if wrong := [row.label for row in rows if not 0 <= row.label < classes]:
            raise ValueError(f"{name}: the {split} split has a label {wrong[0]}, but there are {classes} classes")


def _check_disk(room: Path, count: int, side: int) -> None:
    wanted, free = count * side * side * 3, shutil.disk_usage(room).free
    if wanted > free:
        raise OSError(
            f"the decoded images take {wanted / 2**30:.1f} GiB, but {room.parent} has {free / 2**30:.1f} GiB left: "
            f"make room, choose a smaller image size, or set {CACHE_VARIABLE} to another folder"
        )

"""Building a store: parallel decoding of images into NumPy files."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.lib import format as npy
from numpy.typing import NDArray
from tqdm import tqdm

from cls_env.arguments import whole_number
from cls_env.command_line.processes import end_with
from cls_env.datasets.files.decoding import (
    DEPTH,
    MOST_PIXELS,
    Decoding,
    Facts,
    ImageReader,
    read_square,
)
from cls_env.datasets.files.listing import FileList, ImageRef
from cls_env.datasets.files.load_report import LoadReport, report_lines
from cls_env.datasets.paths import CACHE_VARIABLE
from cls_env.specification import lookup

FORMAT = 1
CHUNK = 32
FEW_IMAGES = 512  # with fewer images, starting processes takes longer than decoding
IDLE_SECONDS = 5  # after which decoding processes end
ON_ERROR = {"raise": False, "skip": True}
UNDECODABLE = "files that can't be decoded"


@dataclass(frozen=True)
class StoreOptions:
    """How the images of a dataset are decoded: arguments of all loaders of files.

    Attributes:
        image_size: Side of the square images in the store, in pixels.
        resize: How an image becomes a square, a key of `RESIZE_RULES`: `"crop"` scales the shorter side and keeps the
            center, `"squash"` scales both sides, `"pad"` scales the longer side and fills with black.
        interpolation: `"bicubic"` or `"bilinear"`, with antialiasing.
        on_error: `"raise"` stops at a file or folder that can't be read, followed or decoded. `"skip"` leaves it out,
            counts it and names it in `store.json`.
        workers: Number of decoding processes. Defaults to one per core.
        background: Color under transparent pixels, such as `"white"` or `"#202020"`.
        bit_depth: Number of bits used in 16-bit gray images, 8 to 16: 12 for images of a 12-bit camera.
        max_pixels: Maximum number of pixels of an image file.

    Raises:
        ValueError: A value is unknown, of the wrong type, or out of range.
    """

    image_size: int
    resize: str = "crop"
    interpolation: str = "bicubic"
    on_error: str = "raise"
    workers: int | None = None
    background: str = "white"
    bit_depth: int = DEPTH
    max_pixels: int = MOST_PIXELS

    def __post_init__(self) -> None:
        for name, value in asdict(self.decoding).items():
            object.__setattr__(self, name, value)
        if self.workers is not None:
            object.__setattr__(self, "workers", whole_number("workers", self.workers, 1))
        object.__setattr__(self, "max_pixels", whole_number("max_pixels", self.max_pixels, 1))
        lookup("on_error", self.on_error, ON_ERROR)

    @property
    def decoding(self) -> Decoding:
        """The options on which the pixels depend."""
        return Decoding(self.image_size, self.resize, self.interpolation, self.background, self.bit_depth)

    @property
    def identity(self) -> dict[str, Any]:
        """The options that determine the contents of a store."""
        # The default interpolation is omitted: stores of versions without this option stay valid.
        left_out = {"workers": self.workers, "interpolation": "bicubic"}.items()
        return dict(item for item in asdict(self).items() if item not in left_out)


class Decoded(NamedTuple):
    """A chunk of decoded rows: images and rows kept, error messages of the others, and facts about the images."""

    images: list[NDArray[np.uint8]]
    kept: list[ImageRef]
    failures: list[str]
    facts: Facts


@dataclass
class _Build:
    """The state of a build."""

    reader: ImageReader
    options: StoreOptions
    bar: tqdm[Any]
    digest: Any = field(default_factory=sha256)
    failures: list[str] = field(default_factory=list)
    facts: Facts = field(default_factory=Counter)


def build_store(tmp_dir: Path, name: str, file_list: FileList, options: StoreOptions, report: LoadReport) -> Path:
    """Decode the listed images into a store in `tmp_dir`.

    Validation images are the last rows of the training arrays. `store.json` contains their number.

    Args:
        tmp_dir: The folder in which to make the store.
        name: Name of the dataset.
        file_list: The images of each split.
        options: Decoding options.
        report: Counts what is left out. Images that can't be decoded are added.

    Returns:
        The folder of the store.

    Raises:
        ValueError: An image can't be decoded, or a split has no image of a class left.
        OSError: The disk is full or can't be written.
    """
    _check_labels(name, file_list)
    total = len(file_list.train) + len(file_list.validation) + len(file_list.test)
    _check_disk(tmp_dir, total, options.image_size)
    folder = tmp_dir / "store"
    folder.mkdir()
    with tqdm(desc=f"decoding {name}", total=total, unit=" images") as bar:
        build = _Build(file_list.reader, options, bar)
        train, validation = _write_split(folder, "train", (file_list.train, file_list.validation), build)
        (test,) = _write_split(folder, "test", (file_list.test,), build)
    _check_no_class_lost(name, file_list, train, test)
    report.leave_out(UNDECODABLE, len(build.failures))
    report.skipped += build.failures
    report.add_facts(build.facts, options.background, options.bit_depth)
    counts = {"images": len(train) + len(validation) + len(test), "validation_images": len(validation)}
    card = _card(name, file_list, options, report) | counts | {"images_sha256": build.digest.hexdigest()}
    (folder / "store.json").write_text(json.dumps(card, indent=1), encoding="utf-8")
    for file in folder.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    for line in report_lines(report.left_out, report.remarks):
        tqdm.write(f"{name}: {line}", file=sys.stderr)
    return folder


def _card(name: str, file_list: FileList, options: StoreOptions, report: LoadReport) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": name,
        **asdict(options.decoding),
        "skipped": report.skipped,
        "left_out": dict(report.left_out),
        "remarks": dict(report.remarks),
        "class_names": file_list.class_names,
        "domain_names": file_list.domain_names,
    }


def _write_split(folder: Path, split: str, parts: Sequence[Sequence[ImageRef]], build: _Build) -> list[list[ImageRef]]:
    """Decode the parts of a split into its files, one after the other, and return the rows kept of each."""
    side = build.options.image_size
    with (folder / f"{split}_images.npy").open("wb") as out:
        _write_header(out, sum(map(len, parts)), side)
        kept = [_write_images(out, rows, build) for rows in parts]
        out.seek(0)
        _write_header(out, sum(map(len, kept)), side)  # of the same length: NumPy pads it for the count
    rows = [row for part in kept for row in part]
    np.save(folder / f"{split}_labels.npy", np.array([row.label for row in rows], dtype=np.int64))
    np.save(folder / f"{split}_domains.npy", np.array([row.domain for row in rows], dtype=np.int64))
    return kept


def _write_images(out: Any, rows: Sequence[ImageRef], build: _Build) -> list[ImageRef]:
    """Decode rows, append their pixels, and return the rows kept."""
    kept: list[ImageRef] = []
    for decoded in _decoded(build.reader, rows, build.options):
        for image in decoded.images:
            out.write(image.data)
            build.digest.update(image.data)
        kept += decoded.kept
        build.failures += decoded.failures
        build.facts.update(decoded.facts)
        build.bar.update(len(decoded.kept) + len(decoded.failures))
    return kept


def _write_header(out: Any, count: int, side: int) -> None:
    shape = (count, side, side, 3)
    npy.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _decoded(reader: ImageReader, rows: Sequence[ImageRef], options: StoreOptions) -> Iterator[Decoded]:
    """Chunks of decoded rows, in order."""
    chunks = (rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK))
    workers = 1 if len(rows) < FEW_IMAGES else options.workers or os.cpu_count() or 1
    pool = Parallel(n_jobs=workers, backend="loky", return_as="generator", idle_worker_timeout=IDLE_SECONDS)
    results: Iterator[Decoded] = pool(delayed(_decode_chunk)(reader, chunk, options, os.getpid()) for chunk in chunks)
    return results


def _decode_chunk(reader: ImageReader, rows: Sequence[ImageRef], options: StoreOptions, builder: int) -> Decoded:
    if os.getpid() != builder:
        end_with(builder)
    decoded = Decoded([], [], [], Counter())
    for row in rows:
        try:
            image = read_square(
                reader,
                row.reference,
                **asdict(options.decoding),
                max_pixels=options.max_pixels,
                facts=decoded.facts,
            )
        except ValueError as error:
            if not ON_ERROR[options.on_error]:
                raise
            decoded.failures.append(str(error))
        else:
            decoded.images.append(image)
            decoded.kept.append(row)
    return decoded


def _check_labels(name: str, file_list: FileList) -> None:
    classes = len(file_list.class_names)
    for split, rows in (("train", file_list.train), ("test", file_list.test), ("validation", file_list.validation)):
        if not rows and split != "validation":
            raise ValueError(f"{name}: the {split} split has no images")
        if wrong := [row.label for row in rows if not 0 <= row.label < classes]:
            raise ValueError(f"{name}: the {split} split has label {wrong[0]}, but there are {classes} classes")


def _check_no_class_lost(name: str, file_list: FileList, train: Sequence[ImageRef], test: Sequence[ImageRef]) -> None:
    for split, rows, kept in (("train", file_list.train, train), ("test", file_list.test, test)):
        if lost := {row.label for row in rows} - {row.label for row in kept}:
            lost_class = file_list.class_names[min(lost)]
            raise ValueError(f"{name}: the {split} split has no image of class {lost_class!r} that can be decoded")


def _check_disk(tmp_dir: Path, count: int, side: int) -> None:
    wanted, free = count * side * side * 3, shutil.disk_usage(tmp_dir).free
    if wanted > free:
        raise OSError(
            f"the decoded images take {wanted / 2**30:.1f} GiB, but {tmp_dir.parent} has {free / 2**30:.1f} GiB left: "
            f"free disk space, choose a smaller image size, or set {CACHE_VARIABLE} to another folder"
        )

"""Images that are to be classified: files, and all images in folders and archives."""

from __future__ import annotations

import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from cls_env.bounded.regular_files import check_regular
from cls_env.bounded.tar_files import is_tar
from cls_env.datasets.files.archives import close_archives
from cls_env.datasets.files.class_folders import UNREAD, report_tree
from cls_env.datasets.files.decoding import (
    IMAGE_SUFFIXES,
    MOST_PIXELS,
    OTHER_IMAGE_SUFFIXES,
    Decoding,
    ImageReader,
    TreeReader,
    read_square,
)
from cls_env.datasets.files.load_report import LoadReport, report_lines
from cls_env.datasets.files.trees import FolderTree, open_tree

About = TypeVar("About")
Failure = Callable[[str], object]
"""Receives one line for each image that can't be decoded."""


@dataclass
class Failures:
    """Counts the images that can't be decoded, and names each on standard error."""

    count: int = 0

    def __call__(self, line: str) -> None:
        """Count and name an image."""
        self.count += 1
        print(line, file=sys.stderr)

    def check(self) -> None:
        """Raise ValueError if there were any."""
        if self.count:
            raise ValueError(f"{self.count} image{'s' * (self.count > 1)} can't be decoded; the lines above say which")


@dataclass(frozen=True)
class Source:
    """The images of one path.

    Attributes:
        path: A file, folder or archive.
        reader: Reads them.
        names: The name of each image for the reader.
        shown: The name of each image for the user.
        left_out: Number of files that are left out, by kind.
        problems: One line for each image that is known to be unreadable.
    """

    path: Path
    reader: ImageReader
    names: Sequence[str]
    shown: Sequence[str]
    left_out: Counter[str]
    problems: Sequence[str] = ()


@dataclass(frozen=True)
class Picture(Generic[About]):
    """A decoded image: its pixels of shape (side, side, 3), and what is known about it, such as its name or label."""

    about: About
    pixels: NDArray[np.uint8]


@contextmanager
def unpacking() -> Iterator[Path]:
    """A folder for unpacked archives, which is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield Path(folder)
        finally:
            close_archives()


def find_images(path: Path, tmp_dir: Path) -> Source:
    """Find the image of a file, or the images in a folder or archive.

    Args:
        path: An image file, a folder, or a zip or tar archive.
        tmp_dir: Where a compressed tar archive is unpacked.

    Raises:
        FileNotFoundError: The path does not exist.
        ValueError: There are no images, or an archive is damaged or encrypted.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; give an image, or a folder, zip or tar of images")
    if not path.is_dir() and not _is_archive(path):
        return Source(path, TreeReader(FolderTree(path.parent)), [path.name], [str(path)], Counter())
    tree, report = open_tree(path), LoadReport(skip=True)
    report_tree(tree, report)
    report.left_out.pop(UNREAD, None)  # `report.skipped` names them
    images = []
    for name in tree.contents.files:
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            images.append(name)
        elif suffix in OTHER_IMAGE_SUFFIXES:
            report.skipped.append(f"{path / name}: the image format {suffix} is not supported")
        else:
            report.leave_out(f"files that are not images ({suffix or 'no suffix'})")
    if not images and not report.skipped:
        raise ValueError(f"there are no images in {path}")
    own = Path(tempfile.mkdtemp(dir=tmp_dir))  # archives in two folders may have one name
    reader = TreeReader(tree.for_random_access(own))
    return Source(path, reader, images, [str(path / name) for name in images], report.left_out, report.skipped)


def pictures(sources: Iterable[Source], decoding: Decoding, on_failure: Failure) -> Iterator[Picture[str]]:
    """The decoded images of some sources, one after the other. What is left out is counted on standard error.

    Args:
        sources: Where the images are.
        decoding: How a file becomes pixels.
        on_failure: Called for an image that can't be read.
    """
    for source in sources:
        for line in report_lines(source.left_out, {}):
            print(f"{source.path}: {line}", file=sys.stderr)
        for problem in source.problems:
            on_failure(problem)
        yield from decoded_images(source.reader, zip(source.names, source.shown, strict=True), decoding, on_failure)


def decoded_images(
    reader: ImageReader,
    images: Iterable[tuple[Any, About]],
    decoding: Decoding,
    on_failure: Failure,
    max_pixels: int = MOST_PIXELS,
) -> Iterator[Picture[About]]:
    """Decode images one after the other.

    Args:
        reader: Reads them.
        images: The reference of each image for the reader, and what is known about it.
        decoding: How a file becomes pixels.
        on_failure: Called for an image that can't be decoded, which is left out.
        max_pixels: As in `StoreOptions`.
    """
    options = asdict(decoding)
    for reference, about in images:
        try:
            pixels = read_square(reader, reference, **options, max_pixels=max_pixels)
        except ValueError as error:
            on_failure(str(error))
        else:
            yield Picture(about, pixels)


def _is_archive(path: Path) -> bool:
    check_regular(path)
    return path.suffix.lower() not in IMAGE_SUFFIXES and (zipfile.is_zipfile(path) or is_tar(path))

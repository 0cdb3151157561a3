"""Files below a folder, or inside a zip or tar of one, read in path."""

from __future__ import annotations

import tarfile
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Protocol

from cls_env.datasets.files.archives import ARCHIVE_SUFFIXES, TarTree, ZipTree
from cls_env.datasets.files.contents import Contents, list_folder
from cls_env.datasets.paths import expanded


class Tree(Protocol):
    """Files and folders under one root, by their path relative to it, with slashes.

    It is picklable, so that several processes can read from it.
    """

    @property
    def root(self) -> Path:
        """The folder or archive."""

    @property
    def contents(self) -> Contents:
        """What is in it."""

    def open(self, name: str) -> IO[bytes]:
        """A file's contents, to be closed after use."""

    def for_random_access(self, tmp_dir: Path) -> Tree:
        """The same tree where files can be reached in any order; what must be unpacked for it goes into `tmp_dir`."""


@dataclass(frozen=True)
class FolderTree:
    """A folder on disk."""

    root: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """Without what has been listed: each process lists for itself, if it must."""
        return type(self), (self.root,)

    @cached_property
    def contents(self) -> Contents:
        """What is in it; listed once."""
        return list_folder(self.root)

    def open(self, name: str) -> IO[bytes]:
        """A file's contents."""
        return (self.root / name).open("rb")

    def for_random_access(self, tmp_dir: Path) -> FolderTree:
        """Itself."""
        return self


def open_tree(root: str | Path) -> Tree:
    """A folder, zip or tar as a tree.

    Raises:
        FileNotFoundError: There is nothing at `root`.
        ValueError: It is a file of another kind, or a damaged archive.
    """
    path = expanded(root, "root").absolute()
    if path.is_dir():
        return FolderTree(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; give a folder of images, or a zip or tar of one")
    if zipfile.is_zipfile(path):
        return ZipTree(path)
    if tarfile.is_tarfile(path):
        return TarTree(path, path)
    raise ValueError(f"{path} is neither a folder nor a zip or tar file, or it is damaged")


def plain_name(root: Path) -> str:
    """The name of a folder, or of an archive without its suffix."""
    name = expanded(root).absolute().name
    longest = max((suffix for suffix in ARCHIVE_SUFFIXES if name.lower().endswith(suffix)), key=len, default="")
    return name[: len(name) - len(longest)]

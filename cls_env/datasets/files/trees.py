"""Files in a folder, or in a zip or tar archive of one."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Protocol

from cls_env.bounded.limits import USUAL, ArchiveLimits, check_file_size
from cls_env.bounded.regular_files import check_regular
from cls_env.bounded.tar_files import is_tar
from cls_env.datasets.files.archives import ARCHIVE_SUFFIXES, TarTree, ZipTree
from cls_env.datasets.files.contents import Contents, list_folder
from cls_env.datasets.paths import expanded


class Tree(Protocol):
    """Files and folders in one root, by their path relative to it, with slashes.

    A tree is picklable, so that several processes can read from it.
    """

    @property
    def root(self) -> Path:
        """The folder or archive."""

    @property
    def contents(self) -> Contents:
        """Its files and folders."""

    def open(self, name: str) -> IO[bytes]:
        """Open a file. The caller closes it."""

    def for_random_access(self, tmp_dir: Path) -> Tree:
        """The same tree with fast access to files in any order. Files unpacked for this go into `tmp_dir`."""


@dataclass(frozen=True)
class FolderTree:
    """A folder on disk."""

    root: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the contents: each process lists them itself if needed."""
        return type(self), (self.root,)

    @cached_property
    def contents(self) -> Contents:
        """Its files and folders, listed once."""
        return list_folder(self.root)

    def open(self, name: str) -> IO[bytes]:
        """Open a file.

        Raises:
            ValueError: It is larger than the largest image.
        """
        check_file_size((self.root / name).stat().st_size)
        return (self.root / name).open("rb")

    def for_random_access(self, tmp_dir: Path) -> FolderTree:
        """The tree itself."""
        return self


def open_tree(root: str | Path, limits: ArchiveLimits = USUAL) -> Tree:
    """Open a folder, zip or tar archive as a tree.

    Args:
        root: The folder or archive.
        limits: How much an archive may hold.

    Raises:
        FileNotFoundError: `root` does not exist.
        ValueError: It is another kind of file, or a damaged archive.
    """
    path = expanded(root, "root").absolute()
    if path.is_dir():
        return FolderTree(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; give a folder of images, or a zip or tar of one")
    check_regular(path)
    if zipfile.is_zipfile(path):
        return ZipTree(path, limits)
    if is_tar(path):
        return TarTree(path, path, limits)
    raise ValueError(f"{path} is neither a folder nor a zip or tar file, or it is damaged")


def plain_name(root: Path) -> str:
    """The name of a folder, or of an archive without its suffix."""
    name = expanded(root).absolute().name
    longest = max((suffix for suffix in ARCHIVE_SUFFIXES if name.lower().endswith(suffix)), key=len, default="")
    return name[: len(name) - len(longest)]

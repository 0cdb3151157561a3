"""Files below a folder, or inside a zip or tar of one, read in place."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import zipfile
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from tqdm import tqdm

HIDDEN = (".", "__MACOSX")
UNCOMPRESSED_AT_ONCE = 2**20


class Tree(Protocol):
    """Files and folders under one root, by their path relative to it, with slashes.

    It is picklable, so that several processes can read from it. Hidden files and folders are passed over.
    """

    @property
    def root(self) -> Path:
        """The folder or archive."""

    @property
    def files(self) -> list[str]:
        """All files, sorted."""

    @property
    def folders(self) -> list[str]:
        """All folders, empty ones too, sorted."""

    def open(self, name: str) -> IO[bytes]:
        """A file's contents, to be closed after use."""

    def for_random_access(self, room: Path) -> Tree:
        """The same tree where files can be reached in any order; what must be unpacked for it goes into `room`."""


@dataclass(frozen=True)
class FolderTree:
    """A folder on disk; links are followed."""

    root: Path

    @cached_property
    def _walked(self) -> tuple[list[str], list[str]]:
        files, folders = [], []
        for place, inner, names in os.walk(self.root, followlinks=True):
            inner[:] = [name for name in inner if not name.startswith(HIDDEN)]
            top = Path(place).relative_to(self.root)
            folders += [(top / name).as_posix() for name in inner]
            files += [(top / name).as_posix() for name in names if not name.startswith(HIDDEN)]
        return sorted(files), sorted(folders)

    @property
    def files(self) -> list[str]:
        """All files, sorted."""
        return self._walked[0]

    @property
    def folders(self) -> list[str]:
        """All folders, sorted."""
        return self._walked[1]

    def open(self, name: str) -> IO[bytes]:
        """A file's contents."""
        return (self.root / name).open("rb")

    def for_random_access(self, room: Path) -> FolderTree:
        """Itself."""
        return self


@dataclass(frozen=True)
class ZipTree:
    """A zip; each process opens it once."""

    root: Path

    @cached_property
    def _entries(self) -> tuple[list[str], list[str]]:
        entries = _opened_zip(self.root, _version(self.root)).infolist()
        return _visible(
            [entry.filename for entry in entries if not entry.is_dir()],
            [entry.filename for entry in entries if entry.is_dir()],
        )

    @property
    def files(self) -> list[str]:
        """All files, sorted."""
        return self._entries[0]

    @property
    def folders(self) -> list[str]:
        """All folders, sorted."""
        return self._entries[1]

    def open(self, name: str) -> IO[bytes]:
        """A file's contents."""
        return _opened_zip(self.root, _version(self.root)).open(name)

    def for_random_access(self, room: Path) -> ZipTree:
        """Itself."""
        return self


@dataclass(frozen=True)
class TarTree:
    """A tar; each process opens it once.

    Attributes:
        root: The archive, for messages.
        file: Where it is read; another than `root` once it has been uncompressed.
    """

    root: Path
    file: Path

    @cached_property
    def _entries(self) -> tuple[list[str], list[str]]:
        members = _opened_tar(self.file, _version(self.file))[1].items()
        return _visible(
            [name for name, entry in members if entry.isfile()], [name for name, entry in members if entry.isdir()]
        )

    @property
    def files(self) -> list[str]:
        """All files, sorted."""
        return self._entries[0]

    @property
    def folders(self) -> list[str]:
        """All folders, sorted."""
        return self._entries[1]

    def open(self, name: str) -> IO[bytes]:
        """A file's contents; in a compressed tar it is reached by reading up to it."""
        archive, members = _opened_tar(self.file, _version(self.file))
        stream = archive.extractfile(members[name])
        assert stream is not None  # only regular files are listed
        return stream

    def for_random_access(self, room: Path) -> TarTree:
        """Itself, or an uncompressed copy."""
        with tarfile.open(self.file) as archive:
            stream: Any = archive.fileobj
            if isinstance(stream, io.BufferedReader):  # the file itself: it is not compressed
                return self
            plain = room / f"{self.root.stem}.tar"
            stream.seek(0)
            about = f"uncompressing {self.root.name}"
            with plain.open("wb") as out, tqdm.wrapattr(out, "write", desc=about, unit="B") as watched:
                shutil.copyfileobj(stream, watched, UNCOMPRESSED_AT_ONCE)
        return TarTree(self.root, plain)


def open_tree(root: str | Path) -> Tree:
    """A folder, zip or tar as a tree.

    Raises:
        FileNotFoundError: There is nothing at `root`.
        ValueError: It is a file of another kind, or a damaged archive.
    """
    place = Path(root).expanduser()
    if place.is_dir():
        return FolderTree(place)
    if not place.exists():
        raise FileNotFoundError(f"{place} does not exist; give a folder of images, or a zip or tar of one")
    if zipfile.is_zipfile(place):
        return ZipTree(place)
    if tarfile.is_tarfile(place):
        return TarTree(place, place)
    raise ValueError(f"{place} is neither a folder nor a zip or tar file, or it is damaged")


def stamp(*roots: Path) -> str:
    """A digest of path, size and time of an archive, or of every file of a folder; changes when a file does.

    Files that do not exist count as such.
    """
    digest = hashlib.sha256()
    for root in roots:
        digest.update(str(root.resolve()).encode())
        for file in (root / name for name in FolderTree(root).files) if root.is_dir() else [root]:
            stat = file.stat() if file.exists() else None
            digest.update(f"{file}\0{stat and (stat.st_size, stat.st_mtime_ns)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _visible(files: list[str], folders: list[str]) -> tuple[list[str], list[str]]:
    """An archive's names without the hidden; folders that only show in a file's path are added."""
    named = {PurePosixPath(name) for name in files} - {PurePosixPath(".")}
    inner = {PurePosixPath(name) for name in folders} | {parent for name in named for parent in name.parents}

    def shown(paths: set[PurePosixPath]) -> list[str]:
        return sorted(str(path) for path in paths if path.parts and not any(p.startswith(HIDDEN) for p in path.parts))

    return shown(named), shown(inner)


def _plain(name: str) -> str:
    return str(PurePosixPath(name))


def _version(file: Path) -> tuple[int, int]:
    """Changes when the file does, so that no handle of an old one is used."""
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=2)
def _opened_zip(file: Path, version: tuple[int, int]) -> zipfile.ZipFile:
    return zipfile.ZipFile(file)


@lru_cache(maxsize=2)
def _opened_tar(file: Path, version: tuple[int, int]) -> tuple[tarfile.TarFile, dict[str, tarfile.TarInfo]]:
    archive = tarfile.open(file)  # noqa: SIM115  # stays open for the process: it is read file by file
    return archive, {str(PurePosixPath(member.name)): member for member in archive.getmembers()}

"""Files below a folder, or inside a zip or tar of one, read in place."""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from tqdm import tqdm

HIDDEN = (".", "__MACOSX")
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")
UNCOMPRESSED_AT_ONCE = 2**20
ARCHIVE_ERRORS = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)


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
    """A folder on disk; links are followed, but for those to a folder that holds them."""

    root: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """Without what has been listed: each process lists for itself, if it must."""
        return type(self), (self.root,)

    @cached_property
    def _walked(self) -> tuple[list[str], list[str]]:
        files, folders = [], []
        for place, inner, names in os.walk(self.root, followlinks=True):
            inner[:] = [name for name in inner if not name.startswith(HIDDEN) and not _holds(Path(place) / name, place)]
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

    @property
    def files(self) -> list[str]:
        """All files, sorted."""
        return _opened_zip(self.root, _version(self.root)).files

    @property
    def folders(self) -> list[str]:
        """All folders, sorted."""
        return _opened_zip(self.root, _version(self.root)).folders

    def open(self, name: str) -> IO[bytes]:
        """A file's contents."""
        archive = _opened_zip(self.root, _version(self.root))
        stream: IO[bytes] = archive.handle.open(archive.members[name])
        return stream

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

    @property
    def files(self) -> list[str]:
        """All files, sorted."""
        return _opened_tar(self.file, _version(self.file)).files

    @property
    def folders(self) -> list[str]:
        """All folders, sorted."""
        return _opened_tar(self.file, _version(self.file)).folders

    def open(self, name: str) -> IO[bytes]:
        """A file's contents; in a compressed tar it is reached by reading up to it."""
        archive = _opened_tar(self.file, _version(self.file))
        try:
            stream = archive.handle.extractfile(archive.members[name])
        except KeyError as error:
            raise ValueError(f"it links to a file that is not in the archive: {error}") from error
        assert stream is not None  # only files and links are listed
        return stream

    def for_random_access(self, room: Path) -> TarTree:
        """Itself, or an uncompressed copy.

        Raises:
            ValueError: The archive is damaged.
        """
        with _naming(self.root), tarfile.open(self.file) as archive:
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
    place = Path(root).expanduser().absolute()
    if place.is_dir():
        return FolderTree(place)
    if not place.exists():
        raise FileNotFoundError(f"{place} does not exist; give a folder of images, or a zip or tar of one")
    if zipfile.is_zipfile(place):
        return ZipTree(place)
    if tarfile.is_tarfile(place):
        return TarTree(place, place)
    raise ValueError(f"{place} is neither a folder nor a zip or tar file, or it is damaged")


def plain_name(root: Path) -> str:
    """The name of a folder, or of an archive without its suffix."""
    name = root.expanduser().absolute().name
    longest = max((suffix for suffix in ARCHIVE_SUFFIXES if name.lower().endswith(suffix)), key=len, default="")
    return name[: len(name) - len(longest)]


def close_archives() -> None:
    """Close what this process has open, so that temporary copies give their disk space back."""
    for opened in (_opened_zip, _opened_tar):
        opened.cache_clear()


def stamp(*roots: Path) -> str:
    """A digest of path, size and time of an archive, or of every file of a folder; changes when a file does.

    Files that do not exist count as such.
    """
    digest = hashlib.sha256()
    for root in roots:
        digest.update(str(root.resolve()).encode(errors="surrogateescape"))
        for file in (root / name for name in FolderTree(root).files) if root.is_dir() else [root]:
            stat = file.stat() if file.exists() else None
            digest.update(f"{file}\0{stat and (stat.st_size, stat.st_mtime_ns)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _holds(folder: Path, place: str) -> bool:
    """Whether a link leads to a folder in which it lies itself."""
    return folder.is_symlink() and Path(place).resolve().is_relative_to(folder.resolve())


@dataclass(frozen=True)
class _Archive:
    """An open archive, and its visible files and folders by their plain names."""

    handle: Any
    members: dict[str, Any]
    files: list[str]
    folders: list[str]

    @classmethod
    def of(cls, handle: Any, files: dict[str, Any], folders: list[str]) -> _Archive:
        """List an archive; folders that only show in a file's path are added."""
        named = {PurePosixPath(name) for name in files}
        inner = {PurePosixPath(name) for name in folders} | {parent for name in named for parent in name.parents}

        def shown(paths: set[PurePosixPath]) -> list[str]:
            kept = (path for path in paths if path.parts and not any(part.startswith(HIDDEN) for part in path.parts))
            return sorted(map(str, kept))

        return cls(handle, files, shown(named), shown(inner))


def _version(file: Path) -> tuple[int, int]:
    """Changes when the file does, so that no handle of an old one is used."""
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Turns the many errors of a damaged archive into one that names it."""
    try:
        yield
    except FileNotFoundError:
        raise
    except ARCHIVE_ERRORS as error:
        raise ValueError(f"{file} is damaged or incomplete ({error}); fetch or pack it again") from error


@lru_cache(maxsize=2)
def _opened_zip(file: Path, version: tuple[int, int]) -> _Archive:
    with _naming(file):
        archive = zipfile.ZipFile(file)
    entries = archive.infolist()
    if any(entry.flag_bits & 1 for entry in entries):
        raise ValueError(f"{file} is encrypted; unpack it, and give the folder")
    separator = "/" if any("/" in entry.filename for entry in entries) else "\\"
    named = {str(PurePosixPath(*entry.filename.split(separator))): entry for entry in entries}
    folders = [name for name, entry in named.items() if entry.is_dir()]
    return _Archive.of(archive, {name: entry for name, entry in named.items() if not entry.is_dir()}, folders)


@lru_cache(maxsize=2)
def _opened_tar(file: Path, version: tuple[int, int]) -> _Archive:
    with _naming(file):
        archive = tarfile.open(file)  # noqa: SIM115  # stays open for the process: it is read file by file
        named = {str(PurePosixPath(member.name)): member for member in archive.getmembers()}
        stream: Any = archive.fileobj
        stream.seek(archive.offset)
        if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("its end is missing")
    files = {name: entry for name, entry in named.items() if entry.isfile() or entry.islnk() or entry.issym()}
    return _Archive.of(archive, files, [name for name, entry in named.items() if entry.isdir()])

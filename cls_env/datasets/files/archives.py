"""Zip and tar archives whose members are read without unpacking."""

from __future__ import annotations

import io
import lzma
import posixpath
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tqdm import tqdm

from cls_env.bounded.limits import USUAL, ArchiveLimits, check_file_size, leads_out
from cls_env.bounded.tar_files import is_compressed, list_members, open_bytes, open_tar
from cls_env.bounded.zip_files import open_zip, read_member
from cls_env.datasets.files.contents import Contents, list_names

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")
UNCOMPRESSED_AT_ONCE = 2**20
REPLACED = "earlier files of an archive, which a later one of the same name replaces"
LONGEST_LINK = 4096
ARCHIVE_ERRORS = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, MemoryError, OverflowError, RuntimeError, UnicodeError),
)
"""What the standard library raises for damaged archives."""
Version = tuple[int, ...]


@dataclass(frozen=True)
class ZipTree:
    """A zip archive. Each process opens it once.

    Attributes:
        root: The archive.
        limits: How much it may hold.
    """

    root: Path
    limits: ArchiveLimits = USUAL

    @property
    def contents(self) -> Contents:
        """Its files and folders."""
        return _opened_zip(self.root, self.limits, _version(self.root)).contents

    def open(self, name: str) -> IO[bytes]:
        """A file's contents, which are read as a whole.

        Raises:
            ValueError: It is larger than the largest image.
        """
        archive = _opened_zip(self.root, self.limits, _version(self.root))
        check_file_size(archive.members[name].file_size)
        return io.BytesIO(read_member(archive.handle, archive.members[name]))

    def for_random_access(self, tmp_dir: Path) -> ZipTree:
        """The tree itself."""
        return self


@dataclass(frozen=True)
class TarTree:
    """A tar archive. Each process opens it once.

    Attributes:
        root: The archive, for messages.
        file: The archive or its uncompressed copy, which is read.
        limits: How much it may hold.
    """

    root: Path
    file: Path
    limits: ArchiveLimits = USUAL

    @property
    def contents(self) -> Contents:
        """Its files and folders."""
        return _opened_tar(self.root, self.file, self.limits, _version(self.file)).contents

    def open(self, name: str) -> IO[bytes]:
        """A file's contents. A compressed archive is read up to the file.

        Raises:
            ValueError: It is larger than the largest image.
        """
        archive = _opened_tar(self.root, self.file, self.limits, _version(self.file))
        check_file_size(archive.members[name].size)
        stream = archive.handle.extractfile(archive.members[name])
        assert stream is not None  # only files are among the members
        return stream

    def for_random_access(self, tmp_dir: Path) -> TarTree:
        """The archive itself, or an uncompressed copy.

        Raises:
            ValueError: The archive is damaged, or unpacks to more than its limits allow.
            OSError: The disk is full.
        """
        if not is_compressed(self.file):
            return self
        plain = tmp_dir / f"{self.root.stem}.tar"
        about = f"uncompressing {self.root.name}"
        with (
            _naming(self.root),
            open_bytes(self.file) as stream,
            plain.open("wb") as out,
            tqdm.wrapattr(out, "write", desc=about, unit="B") as watched,
        ):
            while part := stream.read(UNCOMPRESSED_AT_ONCE):
                watched.write(part)
                self.limits.check_bytes(self.root, out.tell())
        return TarTree(self.root, plain, self.limits)


def close_archives() -> None:
    """Close the archives that this process has open, so that temporary copies free their disk space."""
    for opened in (_opened_zip, _opened_tar):
        opened.cache_clear()


@dataclass(frozen=True)
class _Archive:
    """An open archive: its members by their normalized names, and its contents."""

    handle: Any
    members: dict[str, Any]
    contents: Contents

    @classmethod
    def of(
        cls,
        handle: Any,
        files: dict[str, Any],
        folders: list[str],
        links: Mapping[str, str],
        problems: dict[str, str],
        replaced: list[str],
    ) -> _Archive:
        """List an archive. A link to a file in it stands for that file. Any other link is a problem, and so is a name
        that leads out of the archive.

        Args:
            handle: The open archive.
            files: Members by their normalized names.
            folders: Normalized names.
            links: Normalized names of links and of their targets.
            problems: As in `Contents`.
            replaced: Earlier members, by their names and positions, of which a later one has the same name.
        """
        outside = {name: "its name leads out of the archive" for name in (*files, *folders) if leads_out(name)}
        files = {name: member for name, member in files.items() if name not in outside}
        folders = [name for name in folders if name not in outside]
        known = set(folders) | {str(parent) for name in files for parent in PurePosixPath(name).parents}
        linked = {name: _followed(name, links) for name in links}
        for name, target in linked.items():
            if target in known:
                problems[name] = (
                    f"it is a link to the folder {target!r}, and links to folders are not followed in archives: "
                    "pack the folder itself in its place, as tar --dereference does"
                )
            elif target not in files:
                problems[name] = f"it links to {links[name]!r}, which is not in the archive"
        members = files | {name: files[target] for name, target in linked.items() if target in files}
        contents = list_names(members, folders, problems)
        contents.problems.update(outside)
        contents.ignored.update(dict.fromkeys(replaced, REPLACED))
        return cls(handle, members, contents)


def _followed(name: str, links: Mapping[str, str]) -> str:
    """The target at the end of a chain of links, or one link of a circle."""
    visited = {name}
    while (name := links[name]) in links and name not in visited:
        visited.add(name)
    return name


def _replaced(names: list[str]) -> list[str]:
    """Names that occur again later, each with its position. Only the last member of a name is read."""
    last = {name: index for index, name in enumerate(names)}
    return [f"{name} ({index})" for index, name in enumerate(names) if last[name] != index]


def _plain(name: str) -> str:
    return str(PurePosixPath(name))


def _target(name: str, link: str) -> str:
    """The normalized name of a symbolic link's target in an archive."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), link))


def _version(file: Path) -> Version:
    """Version of a file, so that no handle of an earlier version is used."""
    about = file.stat()
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Turn the errors of a damaged archive into one that names it."""
    try:
        yield
    except FileNotFoundError:
        raise
    except ARCHIVE_ERRORS as error:
        raise ValueError(f"{file} is damaged or incomplete ({error}); download or pack it again") from error


@lru_cache(maxsize=2)
def _opened_zip(file: Path, limits: ArchiveLimits, version: Version) -> _Archive:
    with _naming(file):
        archive = open_zip(file, limits)
    entries = archive.infolist()
    if any(entry.flag_bits & 1 for entry in entries):
        raise ValueError(f"{file} is encrypted; unpack it and give the folder")
    separator = "/" if any("/" in entry.filename for entry in entries) else "\\"
    named = {str(PurePosixPath(*entry.filename.split(separator))): entry for entry in entries}
    links: dict[str, str] = {}
    for name, entry in list(named.items()):
        if stat.S_ISLNK(entry.external_attr >> 16):  # of `zip --symlinks`, whose content is the target
            del named[name]
            with _naming(file), archive.open(entry) as stream:
                links[name] = _target(name, stream.read(LONGEST_LINK).decode(errors="surrogateescape"))
    folders = [name for name, entry in named.items() if entry.is_dir()]
    files = {name: entry for name, entry in named.items() if not entry.is_dir()}
    replaced = _replaced([str(PurePosixPath(*entry.filename.split(separator))) for entry in entries])
    return _Archive.of(archive, files, folders, links, {}, replaced)


@lru_cache(maxsize=2)
def _opened_tar(root: Path, file: Path, limits: ArchiveLimits, version: Version) -> _Archive:
    with _naming(root):
        archive = open_tar(file)  # stays open until close_archives
        members = list_members(archive, root, limits)
        named = {_plain(member.name): member for member in members}
        replaced = _replaced([_plain(member.name) for member in members if member.isfile()])
        stream: Any = archive.fileobj
        stream.seek(archive.offset)
        if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("its end is missing")
    files = {name: entry for name, entry in named.items() if entry.isfile()}
    links = {name: _plain(entry.linkname) for name, entry in named.items() if entry.islnk()}
    links |= {name: _target(name, entry.linkname) for name, entry in named.items() if entry.issym()}
    folders = [name for name, entry in named.items() if entry.isdir()]
    others = set(named) - set(files) - set(links) - set(folders)
    return _Archive.of(
        archive, files, folders, links, dict.fromkeys(others, "it is neither a file nor a folder"), replaced
    )

"""Tar files, of which no header takes more memory than a name needs."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from cls_env.bounded.limits import ArchiveLimits

LONGEST_HEADER = 2**20
_COMPRESSED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
"""The first bytes of compressed files, and what opens these."""
_HEADER_ERRORS = (ValueError, LookupError, TypeError, AttributeError, OverflowError)
"""Errors of `tarfile` at the headers of damaged archives, in addition to its own."""


class TarStream:
    """The bytes of a tar, uncompressed, for `tarfile`, which reads a header of any announced length as a whole.

    Args:
        stream: The bytes.

    Attributes:
        listing: Whether headers are being read, none of which may be longer than `LONGEST_HEADER`.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.listing = True
        self.seek, self.tell, self.close, self.seekable = stream.seek, stream.tell, stream.close, stream.seekable

    def read(self, size: int) -> bytes:
        """Read some bytes."""
        if self.listing and not 0 <= size <= LONGEST_HEADER:
            raise tarfile.ReadError(f"it has a header of {size:,} bytes")
        return self._stream.read(size)


def is_compressed(file: Path) -> bool:
    """Whether a file is compressed as a whole."""
    return _opener(file) is not None


def open_bytes(file: Path) -> IO[bytes]:
    """Open a tar's bytes, uncompressed."""
    stream: IO[bytes] = (_opener(file) or (lambda path: path.open("rb")))(file)
    return stream


def open_tar(file: Path) -> tarfile.TarFile:
    """Open a tar file for reading, compressed or not; `list_members` is to be called next.

    Raises:
        tarfile.TarError: It is no tar file.
        OSError: It can't be read.
    """
    stream: Any = TarStream(open_bytes(file))
    try:
        return tarfile.open(fileobj=stream, mode="r:")
    except _HEADER_ERRORS as error:
        stream.close()
        raise tarfile.ReadError(f"a header can't be read: {error}") from error
    except BaseException:
        stream.close()
        raise


def is_tar(file: Path) -> bool:
    """Whether a file is a tar, compressed or not."""
    try:
        stream: Any = open_tar(file).fileobj
        stream.close()
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, MemoryError, RuntimeError):
        return False
    return True


def list_members(archive: tarfile.TarFile, file: Path, limits: ArchiveLimits) -> list[tarfile.TarInfo]:
    """List an archive as far as its limits allow.

    Args:
        archive: Of `open_tar`.
        file: The archive's file, with whose size that of its contents is compared.
        limits: How much it may hold.

    Raises:
        ValueError: It holds more.
        tarfile.TarError: It is damaged.
    """
    members: list[tarfile.TarInfo] = []
    unpacked = 0
    while (member := _next(archive)) is not None:
        if member.size < 0:  # older versions of tarfile would go back, and list it for ever
            raise tarfile.ReadError(f"{member.name!r} has {member.size} bytes")
        members.append(member)
        unpacked += member.size if member.isfile() else 0
        limits.check_files(file, len(members))
        limits.check_bytes(file, unpacked)
    stream: Any = archive.fileobj
    stream.listing = False
    return members


def _next(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    try:
        return archive.next()
    except _HEADER_ERRORS as error:
        raise tarfile.ReadError(f"a header can't be read: {error}") from error


def _opener(file: Path) -> Callable[[Path], Any] | None:
    with file.open("rb") as stream:
        head = stream.read(max(map(len, _COMPRESSED)))
    return next((opener for magic, opener in _COMPRESSED.items() if head.startswith(magic)), None)

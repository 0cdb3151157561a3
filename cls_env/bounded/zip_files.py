"""Zip files, whose list of contents is checked before anything is read from them."""

from __future__ import annotations

import zipfile
from pathlib import Path

from cls_env.bounded.limits import ArchiveLimits
from cls_env.bounded.regular_files import check_regular

_ENTRY = b"PK\x01\x02"
"""The first bytes of an entry in the list of contents, of which none is shorter than `_ENTRY_BYTES`."""
_ENTRY_BYTES = 46
_SIZE, _PLACE = 5, 9
"""Where the standard library's record of the end of a zip has the length of the list, and its own place."""
_AT_ONCE = 2**20


def open_zip(file: Path, limits: ArchiveLimits) -> zipfile.ZipFile:
    """Open a zip file for reading.

    Args:
        file: The file.
        limits: How much it may hold.

    Raises:
        ValueError: It holds more, is no regular file, or a member is compressed by another method than deflate: those
            of other methods are decompressed without a limit.
        zipfile.BadZipFile: It is damaged, or no zip file.
        OSError: It can't be read.
    """
    check_regular(file)
    limits.check_files(file, _most_entries(file, limits.max_files))
    archive = zipfile.ZipFile(file)
    try:
        entries = archive.infolist()
        limits.check_files(file, len(entries))
        limits.check_bytes(file, sum(entry.file_size for entry in entries))
        for entry in entries:
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(
                    f"{file}: {entry.filename!r} is compressed by another method than deflate, the usual one of zip "
                    "files: pack it again"
                )
    except ValueError:
        archive.close()
        raise
    return archive


def read_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The content of a member; memory is taken for the announced size alone, whatever the member unpacks to.

    Raises:
        zipfile.BadZipFile: It is damaged, or longer than announced.
    """
    with archive.open(entry) as stream:
        return stream.read(entry.file_size + 1)


def _most_entries(file: Path, enough: int) -> int:
    """A number of entries that a zip's list of contents does not exceed; counted if it could be more than `enough`."""
    with file.open("rb") as stream:
        end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]  # what ZipFile goes by
        if end is None or end[_SIZE] // _ENTRY_BYTES <= enough:
            return 0 if end is None else int(end[_SIZE] // _ENTRY_BYTES)
        stream.seek(max(0, end[_PLACE] - end[_SIZE] - 2 * _ENTRY_BYTES))
        count, kept = 0, b""
        while (part := stream.read(_AT_ONCE)) and count <= enough:
            count += (kept + part).count(_ENTRY)
            kept = part[1 - len(_ENTRY) :]
    return count

"""Archives of images that hold too much, or lead out of the folder in which they lie."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cls_env.datasets.files.archives import close_archives
from cls_env.datasets.files.decoding import TreeReader, read_square
from cls_env.datasets.files.trees import open_tree
from cls_env.datasets.loaders.folder import load_folder
from experiments.benchmarks.hostile.case import HARMLESS, HostileFile
from experiments.benchmarks.hostile.valid_files import (
    BOMB_BYTES,
    ValidFiles,
    class_folders,
    deflated,
    pickled,
    picture,
    write_zip,
    zeros_checksum,
)

Fill = Callable[[Path], dict[str, bytes]]
_MANY = 200
"""Files of an archive of too many, where at most half as many are allowed."""
_MIB = bytes(2**20)
_ABOVE = 2**26 + 2**20
"""Bytes to which an archive may not unpack if it is small."""


def _load(root: Path, **options: Any) -> object:
    try:
        return load_folder(root, 8, workers=1, **options)
    finally:
        close_archives()


def _decode_first(root: Path) -> object:
    try:
        tree = open_tree(root)
        return read_square(TreeReader(tree), tree.contents.files[0], 8)
    finally:
        close_archives()


def _zip(further: Fill) -> Callable[[Path, ValidFiles], Path]:
    """A zip of class folders with further members."""
    return lambda inside, valid_files: write_zip(inside / "images.zip", class_folders() | further(inside))


def _zip_of_entries(inside: Path, change: Callable[[zipfile.ZipFile], object]) -> Path:
    file = write_zip(inside / "images.zip", class_folders())
    with zipfile.ZipFile(file, "a") as archive:
        change(archive)
    return file


def _link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("cat/link.png")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    archive.writestr(entry, "/etc/hostname")


def raw_zip(name: str, content: bytes, announced: int, checksum: int, method: int, entries: int = 1) -> bytes:
    """A zip of one member, whose size is as announced, and which is listed once or more."""
    encoded = name.encode()
    facts = struct.pack("<HHHHHLLLHH", 20, 0, method, 0, 33, checksum, len(content), announced, len(encoded), 0)
    local = b"PK\3\4" + facts + encoded + content
    entry = b"PK\1\2" + struct.pack("<H", 20) + facts + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + encoded
    shown = min(entries, 2**16 - 1)
    end = b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, shown, shown, entries * len(entry), len(local), 0)
    return local + entries * entry + end


def _raw(announced: int, entries: int = 1, method: int = zipfile.ZIP_DEFLATED) -> Callable[[Path, ValidFiles], Path]:
    def make(inside: Path, valid_files: ValidFiles) -> Path:
        checksum = zeros_checksum() if announced == BOMB_BYTES else 0
        (inside / "images.zip").write_bytes(raw_zip("cat/0.webp", deflated(), announced, checksum, method, entries))
        return inside / "images.zip"

    return make


def _encrypted(inside: Path, valid_files: ValidFiles) -> Path:
    content = bytearray(write_zip(inside / "images.zip", class_folders()).read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    (inside / "images.zip").write_bytes(content)
    return inside / "images.zip"


def _shortened(make: Callable[[Path, ValidFiles], Path], inside: Path, valid_files: ValidFiles) -> Path:
    file = make(inside, valid_files)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 3])
    return file


def _member(name: str, content: bytes = b"", **attributes: Any) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for attribute, value in attributes.items():
        setattr(entry, attribute, value)
    return entry, content


def _tar(
    further: Callable[[], list[tuple[tarfile.TarInfo, bytes]]], suffix: str = ".tar"
) -> Callable[[Path, ValidFiles], Path]:
    """A tar of class folders with further members."""

    def make(inside: Path, valid_files: ValidFiles) -> Path:
        file = inside / f"images{suffix}"
        with tarfile.open(file, "w" if suffix == ".tar" else "w:gz", format=tarfile.PAX_FORMAT) as archive:
            for entry, content in [*(_member(*item) for item in class_folders().items()), *further()]:
                archive.addfile(entry, io.BytesIO(content))
        return file

    return make


def _raw_tar(
    parts: Callable[[], list[bytes]], suffix: str = ".tgz", compress: Callable[[bytes], bytes] = gzip.compress
) -> Callable[[Path, ValidFiles], Path]:
    """A compressed tar of the given headers and contents."""

    def make(inside: Path, valid_files: ValidFiles) -> Path:
        compressed = {part: compress(part) for part in set(parts())}
        (inside / f"images{suffix}").write_bytes(b"".join(compressed[part] for part in parts()))
        return inside / f"images{suffix}"

    return make


def _header(name: str, kind: bytes, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT)


def _zeros(kind: bytes, length: int) -> Callable[[], list[bytes]]:
    """A member of zeros, or a header of them."""
    return lambda: [_header("cat/0.webp", kind, length), *(length // 2**20 * [_MIB]), bytes(2**10)]


def _record(text: str) -> bytes:
    """A record of a pax header, padded to a block."""
    length = len(text) + 4
    return f"{length} {text}\n".encode().ljust(tarfile.BLOCKSIZE, b"\0")


def _negative() -> list[bytes]:
    record = _record("size=-1024")
    length = len(record.rstrip(b"\0"))
    return [
        _header("header", tarfile.XHDTYPE, length),
        record,
        _header("cat/0.png", tarfile.REGTYPE, 0),
        bytes(4 * tarfile.BLOCKSIZE),
    ]


def _chain() -> list[bytes]:
    record = _record("comment=0")
    return 3_000 * [_header("header", tarfile.XHDTYPE, 13) + record]


def _sparse() -> list[tuple[tarfile.TarInfo, bytes]]:
    headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(2**45), "GNU.sparse.name": "cat/9.png"}
    return [_member("cat/9.png", b"x", pax_headers=headers)]


_CASE = partial(HostileFile, "archive", read=_load)
_LEADS_OUT = "its name leads out of the archive"
_NOT_THERE = "which is not in the archive"
CASES = [
    _CASE("zip: name with ..", _zip(lambda _: {"../out.png": picture()}), says=_LEADS_OUT),
    _CASE("zip: name with .. within", _zip(lambda _: {"cat/../../out.png": picture()}), says=_LEADS_OUT),
    _CASE("zip: absolute name", _zip(lambda _: {"/cat/9.png": picture()}), expected=HARMLESS),
    _CASE("zip: symbolic link out", lambda inside, _: _zip_of_entries(inside, _link), says=_NOT_THERE),
    _CASE("zip: code among the images", _zip(lambda inside: {"cat/x.pkl": pickled(inside)}), expected=HARMLESS),
    _CASE("zip: pickle called .png", _zip(lambda inside: {"cat/x.png": pickled(inside)}), says="unknown format"),
    _CASE("zip: encrypted", _encrypted, says="encrypted"),
    _CASE("zip: cut off", partial(_shortened, _zip(lambda _: {}))),
    _CASE("zip bomb: ratio", _raw(BOMB_BYTES), says="max_ratio"),
    _CASE("zip bomb: one content listed often", _raw(2**20, entries=2_000), says="max_ratio"),
    HostileFile("archive", "zip bomb: size announced as small", _raw(100), _decode_first),
    _CASE("zip bomb: another method", _raw(100, method=zipfile.ZIP_BZIP2), says="another method than deflate"),
    _CASE(
        "zip bomb: zip in zip",
        _zip(lambda _: {"cat/in.zip": raw_zip("a", deflated(), BOMB_BYTES, zeros_checksum(), zipfile.ZIP_DEFLATED)}),
        expected=HARMLESS,
    ),
    HostileFile(
        *("archive", "zip bomb: count", _zip(lambda _: {f"cat/n{number}.png": b"" for number in range(_MANY)})),
        *(partial(_load, max_files=_MANY // 2), "refused", "max_files"),
    ),
    HostileFile(
        *("archive", "zip bomb: count beyond the usual limit", _raw(0, entries=2_000_001), _load),
        *("refused", "holds more than 2,000,000 files"),
    ),
    HostileFile(
        *("archive", "zip bomb: size", _zip(lambda _: {}), partial(_load, max_bytes=100), "refused", "max_bytes")
    ),
    _CASE("tar: name with ..", _tar(lambda: [_member("../out.png", picture())]), says=_LEADS_OUT),
    _CASE("tar: absolute name", _tar(lambda: [_member("/out.png", picture())]), says=_LEADS_OUT),
    _CASE(
        "tar: symbolic link out",
        _tar(lambda: [_member("cat/9.png", type=tarfile.SYMTYPE, linkname="/etc/hostname")]),
        says=_NOT_THERE,
    ),
    _CASE(
        "tar: hard link out",
        _tar(lambda: [_member("cat/9.png", type=tarfile.LNKTYPE, linkname="../../etc/hostname")]),
        says=_NOT_THERE,
    ),
    _CASE(
        "tar: link over a link out",
        _tar(
            lambda: [
                _member("cat/a", type=tarfile.SYMTYPE, linkname="../.."),
                _member("cat/9.png", type=tarfile.SYMTYPE, linkname="a/etc/hostname"),
            ]
        ),
        says=_NOT_THERE,
    ),
    _CASE(
        "tar: links in a circle",
        _tar(lambda: [_member(f"cat/{a}.png", type=tarfile.SYMTYPE, linkname=f"{b}.png") for a, b in ("89", "98")]),
        says=_NOT_THERE,
    ),
    _CASE("tar: device", _tar(lambda: [_member("cat/9.png", type=tarfile.CHRTYPE)]), says="neither a file"),
    _CASE("tar: pipe", _tar(lambda: [_member("cat/9.png", type=tarfile.FIFOTYPE)]), says="neither a file"),
    _CASE("tar: cut off", partial(_shortened, _tar(lambda: [])), says="damaged or incomplete"),
    _CASE("tar: cut off, compressed", partial(_shortened, _tar(lambda: [], ".tgz"))),
    _CASE("tar: negative size", _raw_tar(_negative), says="-1024 bytes"),
    _CASE("tar: headers within headers", _raw_tar(_chain)),
    _CASE("tar bomb: long pax header", _raw_tar(_zeros(tarfile.XHDTYPE, BOMB_BYTES))),
    _CASE("tar bomb: long name", _raw_tar(_zeros(tarfile.GNUTYPE_LONGNAME, BOMB_BYTES))),
    _CASE("tar bomb: holes", _tar(_sparse), says="max_bytes"),
    *(
        _CASE(
            f"tar bomb: ratio, {suffix}", _raw_tar(_zeros(tarfile.REGTYPE, _ABOVE), suffix, compress), says="max_ratio"
        )
        for suffix, compress in ((".tgz", gzip.compress), (".tar.bz2", bz2.compress), (".tar.xz", lzma.compress))
    ),
    HostileFile(
        *("archive", "tar bomb: count", _tar(lambda: [_member(f"cat/n{number}") for number in range(_MANY)])),
        *(partial(_load, max_files=_MANY // 2), "refused", "max_files"),
    ),
]
"""Archives that `load_folder` reads."""

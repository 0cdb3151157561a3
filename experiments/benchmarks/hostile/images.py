"""Image files that are something else, or announce more than they hold."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agents.algorithms.given_images import decode_images
from cls_env import load_dataset
from cls_env.datasets.files.decoding import Decoding, TreeReader, read_square
from cls_env.datasets.files.trees import FolderTree
from experiments.benchmarks.hostile.case import HARMLESS, HostileFile
from experiments.benchmarks.hostile.valid_files import (
    BOMB_BYTES,
    WIDTH,
    ValidFiles,
    deflated,
    nested_json,
    pickled,
    picture,
)


def _decode(file: Path) -> object:
    return read_square(TreeReader(FolderTree(file.parent)), file.name, 8)


def _classify(file: Path) -> object:
    return decode_images([file], Decoding(8))


def _cifar(inside: Path, valid_files: ValidFiles) -> Path:
    """CIFAR-10's files, all with the same pickle."""
    folder = inside / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(pickled(inside))
    return folder


def _load_cifar(folder: Path) -> object:
    return load_dataset("cifar10", root=folder.parent)


def _file(name: str, content: Callable[[Path], bytes]) -> Callable[[Path, ValidFiles], Path]:
    def make(inside: Path, valid_files: ValidFiles) -> Path:
        (inside / name).write_bytes(content(inside))
        return inside / name

    return make


def _png(width: int, height: int, *chunks: tuple[bytes, bytes], pixels: bytes = b"") -> bytes:
    header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels or zlib.compress(bytes(64))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))
        for kind, content in parts
    )


def _zlib_bomb() -> bytes:
    """Zeros as zlib packs them; the checksum at their end is left out."""
    return b"\x78\xda" + deflated()


def _bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<LHHLLllHHLLllLL", 60, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(6)


def _tiff(width: int, height: int, strip_bytes: int) -> bytes:
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height)]
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in [*tags, (279, strip_bytes)])
    return b"II*\0" + struct.pack("<L", 16) + bytes(8) + struct.pack("<H", 9) + entries + bytes(4)


def _gif(width: int, height: int) -> bytes:
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\2\x4c\1\0;"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame


def _postscript(inside: Path) -> bytes:
    """PostScript that would write a file, if a program ran it."""
    box = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"
    return f"{box}({inside.parent / 'canary'}) (w) file closefile\nshowpage\n".encode()


def _holes(inside: Path, valid_files: ValidFiles) -> Path:
    """A file of 3 GiB that takes no disk."""
    file = inside / "x.webp"
    with file.open("wb") as stream:
        stream.write(b"RIFF" + struct.pack("<L", 3 * 2**30) + b"WEBPVP8 ")
        stream.truncate(3 * 2**30)
    return file


_IMAGE = partial(HostileFile, "image", read=_decode)
_PIXELS = "more than 178,956,970 pixels"
_UNKNOWN = "unknown format"
CASES = [
    _IMAGE("PNG of 100,000 x 100,000", _file("x.png", lambda _: _png(WIDTH, WIDTH)), says=_PIXELS),
    _IMAGE("PNG of 100,000 x 1", _file("x.png", lambda _: picture(WIDTH, 1)), expected=HARMLESS),
    _IMAGE("PNG whose pixels are fewer than announced", _file("x.png", lambda _: _png(1_000, 1_000))),
    _IMAGE("PNG whose pixels are a bomb", _file("x.png", lambda _: _png(8, 8, pixels=_zlib_bomb())), expected=HARMLESS),
    _IMAGE(
        "PNG with a bomb as text",
        _file("x.png", lambda _: _png(8, 8, (b"zTXt", b"note\0\0" + _zlib_bomb()))),
    ),
    _IMAGE(
        "PNG with a bomb as color profile", _file("x.png", lambda _: _png(8, 8, (b"iCCP", b"a\0\0" + _zlib_bomb())))
    ),
    _IMAGE("PNG cut off", _file("x.png", lambda _: picture(64, 64)[:80])),
    _IMAGE("BMP of 100,000 x 100,000", _file("x.bmp", lambda _: _bmp(WIDTH, WIDTH)), says=_PIXELS),
    _IMAGE("BMP of negative width", _file("x.bmp", lambda _: _bmp(-8, 8))),
    _IMAGE("GIF of 65,535 x 65,535", _file("x.gif", lambda _: _gif(2**16 - 1, 2**16 - 1)), says=_PIXELS),
    _IMAGE("TIFF of 100,000 x 100,000", _file("x.tif", lambda _: _tiff(WIDTH, WIDTH, 64)), says=_PIXELS),
    _IMAGE("TIFF with a strip of 4 GiB", _file("x.tif", lambda _: _tiff(8, 8, 2**32 - 1)), expected=HARMLESS),
    _IMAGE("WebP of 3 GiB of holes", _holes, says="3,221,225,472 bytes"),
    _IMAGE("PostScript called .png", _file("x.png", _postscript), says=_UNKNOWN),
    HostileFile(
        *("image", "PostScript called .png, in Python", _file("x.png", _postscript), _classify),
        *("refused", "unknown format"),
    ),
    HostileFile("image", "CIFAR-10 of pickles with code", _cifar, _load_cifar, says="is not CIFAR10 as published"),
    _IMAGE("pickle called .jpg", _file("x.jpg", pickled), says=_UNKNOWN),
    _IMAGE("HTML called .png", _file("x.png", lambda _: b"<script>alert(1)</script>"), says=_UNKNOWN),
    _IMAGE("JSON called .png", _file("x.png", lambda _: nested_json(WIDTH).encode()), says=_UNKNOWN),
    _IMAGE("nothing called .png", _file("x.png", lambda _: b""), says=_UNKNOWN),
    _IMAGE("zip called .png", _file("x.png", lambda _: b"PK\5\6" + bytes(BOMB_BYTES // 2**20)), says=_UNKNOWN),
]
"""Files that `read_square` decodes."""

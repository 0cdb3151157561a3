"""The zip file of a checkpoint: written atomically, and read without running code."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import load, save_file
from torch import Tensor

from agents.checkpoint.folder_aside import folder_aside
from cls_env.bounded.json_text import parse_json
from cls_env.bounded.limits import WEIGHTS
from cls_env.bounded.zip_files import open_zip, read_member

MOST_JSON_BYTES = 2**22
"""Bytes of a JSON part: in memory it takes many times as many. That of an agent of 1,000 classes has some 50,000."""


def write_archive(target: Path, fill: Callable[[Path], object], is_part: Callable[[str], bool]) -> None:
    """Write a zip under a temporary name in the same folder, and rename it.

    Args:
        target: The file.
        fill: Writes the parts into a folder.
        is_part: Whether a file in the folder belongs to the archive, by its name there.

    Raises:
        OSError: It can't be written, for example on a full disk; an existing file is kept.
    """
    with folder_aside(target) as folder:
        fill(folder)
        unfinished = folder / target.name
        with zipfile.ZipFile(unfinished, "w") as archive:
            for file in sorted(folder.rglob("*")):
                name = file.relative_to(folder).as_posix()
                if is_part(name):
                    archive.write(file, name)
        with unfinished.open("rb+") as written:
            os.fsync(written.fileno())  # after a loss of power the name must not point to a part of the file
        unfinished.replace(target)


def write_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors as safetensors; tensors that share memory, which it refuses, are copied."""
    written: dict[str, Tensor] = {}
    memory: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().contiguous()
        address = own.untyped_storage().data_ptr()
        written[name] = own.clone() if address in memory else own
        memory.add(address)
    save_file(written, file)


def part_names(file: Path) -> list[str]:
    """The names of the parts of an archive.

    Raises:
        ValueError: It is damaged, or no archive.
    """
    with _readable(file, "its list of parts"), open_zip(file, WEIGHTS) as archive:
        return archive.namelist()


def read_tensors(file: Path, part: str, sha256: str | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors part.

    Args:
        file: The archive.
        part: The name of the part.
        sha256: The hash that the part must have, in hexadecimal digits; None for any.

    Raises:
        ValueError: The part is damaged or missing.
    """
    with _readable(file, part), open_zip(file, WEIGHTS) as archive:
        content = read_member(archive, archive.getinfo(part))
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError("its SHA-256 is not that of the manifest")
        return load(content)


def read_json(file: Path, part: str) -> dict[str, Any]:
    """The object of a JSON part.

    Raises:
        ValueError: The part is damaged or missing, or holds something else.
    """
    with _readable(file, part), open_zip(file, WEIGHTS) as archive:
        entry = archive.getinfo(part)
        if entry.file_size > MOST_JSON_BYTES:
            raise ValueError(f"it has {entry.file_size:,} bytes, more than {MOST_JSON_BYTES:,}")
        content = parse_json(read_member(archive, entry))
        if not isinstance(content, dict):
            raise ValueError("it holds no JSON object")
        return content


@contextmanager
def _readable(file: Path, part: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # zipfile, zlib, json and safetensors have many kinds for a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{file} is not a checkpoint of this package, or is damaged: can't read {part}: {reason}"
        ) from error

"""NumPy's files, without pickles: the header must announce as many bytes as follow it, before memory is taken."""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from cls_env.bounded.limits import WEIGHTS, ArchiveLimits
from cls_env.bounded.regular_files import check_regular
from cls_env.bounded.zip_files import open_zip

_VERSION = (1, 0)
"""The version of NumPy's format of all arrays but those of very many named fields."""


def read_npy(file: Path) -> NDArray[Any]:
    """Read the array of a `.npy` file.

    Raises:
        ValueError: It is no array, holds objects, or has another length than its header says.
        OSError: It can't be read.
    """
    _check_file(file)
    with file.open("rb") as stream:
        return npy.read_array(stream, allow_pickle=False)


def map_npy(file: Path) -> np.memmap[Any, Any]:
    """Map the array of a `.npy` file into memory, for reading.

    Raises:
        ValueError: As in `read_npy`.
        OSError: It can't be read.
    """
    _check_file(file)
    return npy.open_memmap(file, mode="r")


def read_npz(file: Path, limits: ArchiveLimits = WEIGHTS) -> dict[str, NDArray[Any]]:
    """Read the arrays of a `.npz` file by name.

    Args:
        file: The file.
        limits: How much it may hold.

    Raises:
        ValueError: It holds more, or an array is as `read_npy` refuses it.
        zipfile.BadZipFile: It is damaged, or no zip file.
        OSError: It can't be read.
    """
    arrays = {}
    with open_zip(file, limits) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as stream:
                _check_header(stream, entry.file_size, entry.filename)
            with archive.open(entry) as stream:
                arrays[entry.filename.removesuffix(".npy")] = npy.read_array(stream, allow_pickle=False)
    return arrays


def _check_file(file: Path) -> None:
    check_regular(file)
    with file.open("rb") as stream:
        _check_header(stream, file.stat().st_size, file.name)


def _check_header(stream: IO[bytes], length: int, name: str) -> None:
    version = npy.read_magic(stream)
    if version != _VERSION:
        raise ValueError(f"{name} is of version {version} of NumPy's format, not {_VERSION}")
    shape, _, dtype = npy.read_array_header_1_0(stream)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which could run code")
    if any(side < 0 for side in shape) or length != stream.tell() + math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} has another length than its header says")

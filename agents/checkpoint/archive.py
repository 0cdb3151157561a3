"""Parts of a checkpoint file, written at once and read without running code; what is damaged is one line."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor


def write_archive(target: Path, fill: Callable[[Path], object], is_part: Callable[[str], bool]) -> None:
    """Write a zip under a temporary name beside its place and move it there.

    Args:
        target: The file.
        fill: Puts the parts into a folder.
        is_part: Which of the files in the folder belong to the archive, by their names there.

    Raises:
        OSError: It can't be written, as on a full disk; a file that was there is still there.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as room:
            folder = Path(room)
            fill(folder)
            aside = folder / target.name
            with zipfile.ZipFile(aside, "w") as archive:
                for file in sorted(folder.rglob("*")):
                    name = file.relative_to(folder).as_posix()
                    if is_part(name):
                        archive.write(file, name)
            aside.replace(target)
    except (OSError, SafetensorError) as error:
        raise OSError(f"{target} can't be written: {error}; make room, or choose another place") from error


def write_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors as safetensors, which takes no two of them that share their memory."""
    written: dict[str, Tensor] = {}
    memory: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().contiguous()
        place = own.untyped_storage().data_ptr()
        written[name] = own.clone() if place in memory else own
        memory.add(place)
    save_file(written, file)


def part_names(file: Path) -> list[str]:
    """The names of the parts of an archive.

    Raises:
        ValueError: It is damaged, or no archive.
    """
    with _readable(file, "its list of parts"), zipfile.ZipFile(file) as archive:
        return archive.namelist()


def read_tensors(file: Path, part: str) -> dict[str, Tensor]:
    """The tensors of a safetensors part.

    Raises:
        ValueError: The part is damaged or missing.
    """
    with _readable(file, part), zipfile.ZipFile(file) as archive:
        return load(archive.read(part))


def read_json(file: Path, part: str) -> dict[str, Any]:
    """The object of a JSON part.

    Raises:
        ValueError: The part is damaged or missing, or holds something else.
    """
    with _readable(file, part), zipfile.ZipFile(file) as archive:
        content = json.loads(archive.read(part))
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

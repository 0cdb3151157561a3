"""Files of `torch.save`, of which only tensors and plain values are read."""

from __future__ import annotations

import argparse
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cls_env.bounded.limits import WEIGHTS
from cls_env.bounded.zip_files import open_zip


def read_torch(file: Path) -> Any:
    """What `torch.save` wrote: tensors on the CPU, and plain values. No code in the file is run.

    Raises:
        ValueError: It holds more than that, is compressed, or a tensor announces more numbers than it holds.
        Exception: It is damaged; PyTorch has many kinds of errors for it.
    """
    if zipfile.is_zipfile(file):
        open_zip(file, WEIGHTS).close()
    elif _is_tar(file):  # in which PyTorch up to 2.5 runs code, despite weights_only
        raise ValueError("it is a tar, as PyTorch wrote them before version 0.1.10")
    with torch.serialization.safe_globals([argparse.Namespace]):  # the settings in timm's training checkpoints
        content = torch.load(file, map_location="cpu", weights_only=True)
    for tensor in _tensors(content):
        if not _is_plain(tensor):
            raise ValueError(f"a tensor of shape {tuple(tensor.shape)} does not hold as many numbers")
    return content


def _is_tar(file: Path) -> bool:
    with file.open("rb") as stream:
        try:
            tarfile.TarInfo.frombuf(stream.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            return False
    return True


def _tensors(content: Any) -> Iterator[Tensor]:
    """The tensors in nested containers."""
    waiting, seen = [content], set[int]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, dict | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))  # a container may hold itself
            waiting += value.values() if isinstance(value, dict) else value


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor has a number in memory for each that it announces, such that no operation takes more."""
    if type(tensor) not in (Tensor, nn.Parameter) or tensor.layout != torch.strided or tensor.device.type != "cpu":
        return False
    if tensor.is_quantized or tensor.is_nested:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()

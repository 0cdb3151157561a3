"""Weights files, and the checkpoint of pretraining, that run code, lie about their sizes, or hold no numbers."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from agents.networks.backbone import create_backbone
from experiments.benchmarks.hostile.archives import raw_zip
from experiments.benchmarks.hostile.case import HARMLESS, HostileFile
from experiments.benchmarks.hostile.valid_files import (
    BOMB_BYTES,
    ValidFiles,
    deflated,
    nested_json,
    npy,
    objects,
    payload,
    pickled,
    write_zip,
    zeros_checksum,
)

_MODEL, _SIDE = "test_vit", 32
_FAR = 2**40
"""Numbers that a lying header announces."""


@cache
def _good() -> dict[str, Tensor]:
    return create_backbone(_MODEL, False, (_SIDE, _SIDE), 0).state_dict()


def _load(file: Path) -> object:
    return create_backbone(_MODEL, True, (_SIDE, _SIDE), 0, weights=str(file))


def _file(name: str, content: Callable[[Path], bytes]) -> Callable[[Path, ValidFiles], Path]:
    def make(inside: Path, valid_files: ValidFiles) -> Path:
        (inside / name).write_bytes(content(inside))
        return inside / name

    return make


def _saved(content: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def _with(change: Callable[[Tensor], Tensor], name: str = "pos_embed") -> dict[str, Tensor]:
    """Good weights of which one tensor is changed."""
    return _good() | {name: change(_good()[name])}


def _times(factor: float) -> Callable[[Path], bytes]:
    return lambda _: save(_with(lambda tensor: tensor * factor))


def _replaced(name: str, content: bytes) -> bytes:
    """A file of `torch.save` of which a member is replaced."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_saved({"a": torch.zeros(4)}))) as good, zipfile.ZipFile(stream, "w") as out:
        for entry in good.namelist():
            out.writestr(entry, content if entry.endswith(name) else good.read(entry))
    return stream.getvalue()


def _old_tar(inside: Path) -> bytes:
    """The first format of `torch.save`, a tar of pickles."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            entry = tarfile.TarInfo(name)
            content = pickled(inside)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def _endless() -> dict[str, Any]:
    content: dict[str, Any] = {"a": torch.zeros(1)}
    content["self"] = content
    return content


def _header(about: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file with a header of our own."""
    text = about if isinstance(about, bytes) else json.dumps(about).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"pos_embed": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}}


def _npz(content: Callable[[Path], bytes]) -> Callable[[Path, ValidFiles], Path]:
    return lambda inside, valid_files: write_zip(inside / "w.npz", {"cls.npy": content(inside)})


def _npz_bomb(inside: Path) -> bytes:
    return raw_zip("cls.npy", deflated(), BOMB_BYTES, zeros_checksum(), zipfile.ZIP_DEFLATED)


_CASE = partial(HostileFile, "weights", read=_load)
_CODE, _LIES, _NUMBERS = "which is refused", "does not hold as many numbers", "NaN or infinity in pos_embed"
_LENGTH, _FIT = "another length than its header says", "does not fit the model"
_PICKLES = [
    _CASE(f"pickle in {suffix}", _file(f"w{suffix}", lambda inside: _saved({"a": payload(inside)})), says=_CODE)
    for suffix in (".pt", ".pth", ".bin", ".ckpt")
]
_TORCH = [
    _CASE("bare pickle in .pt", _file("w.pt", pickled), says=_CODE),
    _CASE(
        "pickle in .pth of before 1.6",
        _file("w.pth", lambda inside: _saved(payload(inside), _use_new_zipfile_serialization=False)),
        says=_CODE,
    ),
    _CASE("pickle in the tar of before 0.1.10", _file("w.tar", _old_tar), says="it is a tar"),
    _CASE(
        "pickle in place of the index", _file("w.pt", lambda inside: _replaced("data.pkl", pickled(inside))), says=_CODE
    ),
    _CASE(
        "pickle of an allowed name's attribute",
        _file("w.pt", lambda inside: _replaced("data.pkl", b"ctorch\nos.system\n(X\4\0\0\0truetR.")),
    ),
    _CASE("further member with code", _file("w.pt", lambda inside: _further(inside))),
    _CASE(
        "tensor of one number, stretched",
        _file("w.pt", lambda _: _saved(_with(lambda _: torch.zeros(1).expand(_FAR)))),
        says=_LIES,
    ),
    _CASE("sparse tensor", _file("w.pt", lambda _: _saved(_with(lambda _: _thin()))), says=_LIES),
    _CASE(
        "tensor without numbers",
        _file("w.pt", lambda _: _saved(_with(lambda _: torch.empty(_FAR, device="meta")))),
        says=_LIES,
    ),
    _CASE(
        ".pt bomb",
        _file("w.pt", lambda _: raw_zip("w/data.pkl", deflated(), BOMB_BYTES, zeros_checksum(), zipfile.ZIP_DEFLATED)),
        says="max_ratio",
    ),
    _CASE(".pt that holds itself", _file("w.pt", lambda _: _saved(_endless()))),
    _CASE(".pt of a list", _file("w.pt", lambda _: _saved([torch.zeros(1)]))),
    _CASE(".pt with numbers as names", _file("w.pt", lambda _: _saved({1: torch.zeros(1)}))),
    _CASE(".pt cut off", _file("w.pt", lambda _: _saved(_good())[:1_000])),
    _CASE("settings of timm's training", _file("w.pt", lambda _: _timms()), expected=HARMLESS),
]
_SAFETENSORS = [
    _CASE("safetensors cut off", _file("w.safetensors", lambda _: save(_good())[:-8])),
    _CASE("safetensors, header of 2**63 bytes", _file("w.safetensors", lambda _: _header({}, length=2**63))),
    _CASE("safetensors, header of 2**40 bytes", _file("w.safetensors", lambda _: _header({}, length=_FAR))),
    _CASE("safetensors, shape beyond the file", _file("w.safetensors", lambda _: _header(_entry([_FAR], 0, 4 * _FAR)))),
    _CASE(
        "safetensors, shape beyond its bytes", _file("w.safetensors", lambda _: _header(_entry([_FAR], 0, 4), bytes(4)))
    ),
    _CASE(
        "safetensors, shape that overflows",
        _file("w.safetensors", lambda _: _header(_entry([2**62, 2**62], 0, 4), bytes(4))),
    ),
    _CASE("safetensors, negative place", _file("w.safetensors", lambda _: _header(_entry([1], -4, 0), bytes(4)))),
    _CASE("safetensors, unknown type", _file("w.safetensors", lambda _: _header(_entry([1], 0, 4, "OBJ"), bytes(4)))),
    _CASE("safetensors, deep header", _file("w.safetensors", lambda _: _header(nested_json(100_000).encode()))),
    _CASE("safetensors, pickle", _file("w.safetensors", pickled)),
    *(
        _CASE(f"safetensors, {value}", _file("w.safetensors", _times(value)), says=_NUMBERS)
        for value in (float("nan"), float("inf"), float("-inf"))
    ),
    _CASE("safetensors, whole numbers", _file("w.safetensors", lambda _: save(_with(lambda t: t.long()))), says=_FIT),
    _CASE(
        "safetensors, complex",
        _file("w.safetensors", lambda _: save(_with(lambda t: t.to(torch.complex64)))),
        says=_FIT,
    ),
    _CASE("safetensors, another shape", _file("w.safetensors", lambda _: save(_with(lambda t: t[:, :, :9].clone())))),
    _CASE("safetensors, no tensors", _file("w.safetensors", lambda _: save({})), says=_FIT),
    _CASE(
        "safetensors, 8-bit floats",
        _file("w.safetensors", lambda _: save(_with(lambda t: t.to(torch.float8_e4m3fn)))),
    ),
]
_NUMPY = [
    _CASE("pickle in .npz", _file("w.npz", pickled)),
    _CASE(".npz of objects", _npz(lambda inside: npy(objects(inside))), says="Python objects"),
    _CASE(".npz member that is a pickle", _npz(pickled)),
    _CASE(".npz, shape beyond its bytes", _npz(lambda _: npy(np.zeros(4), (_FAR,))), says=_LENGTH),
    _CASE(".npz, negative shape", _npz(lambda _: npy(np.zeros(4), (-2, -2))), says=_LENGTH),
    _CASE(".npz, shape that overflows", _npz(lambda _: npy(np.zeros(4), (2**62, 2**62))), says=_LENGTH),
    _CASE(".npz, text", _npz(lambda _: npy(np.array(["a"])))),
    _CASE(".npz, deep header", _npz(lambda _: b"\x93NUMPY\1\0" + struct.pack("<H", 9_000) + b"(" * 9_000)),
    _CASE(".npz, header of 4 GiB", _npz(lambda _: b"\x93NUMPY\2\0" + struct.pack("<L", 2**32 - 1)), says="version"),
    _CASE(".npz bomb", _file("w.npz", _npz_bomb), says="max_ratio"),
]


def _further(inside: Path) -> bytes:
    stream = io.BytesIO(_saved({"a": torch.zeros(1)}))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("archive/code.pkl", pickled(inside))
        archive.writestr("../../out.py", b"raise SystemExit")
    return stream.getvalue()


def _thin() -> Tensor:
    return torch.sparse_coo_tensor(torch.tensor([[0]]), torch.ones(1), (_FAR,), check_invariants=False)


def _timms() -> bytes:
    import argparse

    return _saved({"state_dict": _good(), "args": argparse.Namespace(lr=0.1), "epoch": 3})


def _restore(file: Path) -> object:
    _state(file.parent).restore()
    return None


def _state(folder: Path) -> Any:
    from timm.utils import ModelEmaV3

    from experiments.config.pretraining import PretrainConfig
    from experiments.pretraining.training_state import TrainingState

    torch.manual_seed(0)
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
    config = PretrainConfig(images=folder, out=folder)
    return TrainingState(config, "0", model, ModelEmaV3(model), optimizer, schedule)


def _begun(change: Callable[[dict[str, Any], Path], Any]) -> Callable[[Path, ValidFiles], Path]:
    """The checkpoint of a pretraining run, changed."""

    def make(inside: Path, valid_files: ValidFiles) -> Path:
        _state(inside).finish_epoch(1.0)
        file = inside / "checkpoint.pt"
        content = change(torch.load(file, weights_only=True), inside)
        file.write_bytes(content if isinstance(content, bytes) else _saved(content))
        return file

    return make


def _broken(content: dict[str, Any], part: str, value: Tensor) -> dict[str, Any]:
    content[part] = {name: value if name.endswith("weight") else tensor for name, tensor in content[part].items()}
    return content


_BEGUN = partial(HostileFile, "pretraining checkpoint", read=_restore)
_CHECKPOINTS = [
    _BEGUN("as it was saved", _begun(lambda content, _: content), expected=HARMLESS),
    _BEGUN("pickle as optimizer", _begun(lambda content, inside: content | {"optimizer": payload(inside)})),
    _BEGUN("pickle", _begun(lambda _, inside: pickle.dumps({"model": payload(inside)}))),
    _BEGUN("tar of pickles", _begun(lambda _, inside: _old_tar(inside)), says="it is a tar"),
    _BEGUN("NaN", _begun(lambda content, _: _broken(content, "model", torch.full((2, 2), torch.nan))), says="NaN"),
    _BEGUN("infinity", _begun(lambda content, _: _broken(content, "average", torch.full((2, 2), torch.inf)))),
    _BEGUN("another shape", _begun(lambda content, _: _broken(content, "model", torch.zeros(3, 3)))),
    _BEGUN(
        "stretched tensor",
        _begun(lambda content, _: _broken(content, "model", torch.zeros(1).expand(_FAR))),
        says=_LIES,
    ),
    _BEGUN("without settings", _begun(lambda content, _: {"model": content["model"]})),
    _BEGUN("settings of another kind", _begun(lambda content, _: content | {"settings": [1]})),
    _BEGUN("epochs that are text", _begun(lambda content, _: content | {"epoch": "9"}), says="epoch"),
    _BEGUN("optimizer of another kind", _begun(lambda content, _: content | {"optimizer": {"state": 1}})),
    _BEGUN("cut off", _begun(lambda content, _: _saved(content)[:500])),
]
CASES = [*_PICKLES, *_TORCH, *_SAFETENSORS, *_NUMPY, *_CHECKPOINTS]
"""Files that `--weights` and `cls-env pretrain` read."""

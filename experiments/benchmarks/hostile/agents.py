"""Saved agents: parts that are something else, further parts, bombs, and descriptions of agents that fit no memory."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from agents import EPG, load_agent
from agents.checkpoint.training_file import read_training_state, write_training_state
from experiments.benchmarks.hostile.archives import raw_zip
from experiments.benchmarks.hostile.case import HARMLESS, HarmError, HostileFile
from experiments.benchmarks.hostile.valid_files import (
    BOMB_BYTES,
    ValidFiles,
    deflated,
    nested_json,
    pickled,
    read_zip,
    write_zip,
    zeros_checksum,
)
from experiments.saved_models.answers import Answer, print_table

_HEAD, _ADAPTER, _METHOD = "head.safetensors", "adapter/adapter_model.safetensors", "method.safetensors"
Parts = dict[str, bytes]


def _load(file: Path) -> object:
    return load_agent(file, device="cpu")


def _print_names(file: Path) -> None:
    """Classify an image, and print the answers as `cls-env predict` does."""
    agent = load_agent(file, device="cpu")
    (best,) = agent.classify([np.zeros((32, 32, 3), dtype=np.uint8)], 2)
    printed = io.StringIO()
    with redirect_stdout(printed):
        print_table([Answer("x.png", best)])
    if not best or set("\x1b\x00\x07") & set(printed.getvalue()):
        raise HarmError("the terminal gets control characters")


def _agent(change: Callable[[Parts, Path], Parts]) -> Callable[[Path, ValidFiles], Path]:
    """A saved agent, with some parts changed or added."""
    return lambda inside, valid_files: write_zip(
        inside / "model.zip", valid_files.agent | change(dict(valid_files.agent), inside)
    )


def _bytes(content: Callable[[Path], bytes]) -> Callable[[Path, ValidFiles], Path]:
    def make(inside: Path, valid_files: ValidFiles) -> Path:
        (inside / "model.zip").write_bytes(content(inside))
        return inside / "model.zip"

    return make


def _described(**changes: Any) -> Callable[[Path, ValidFiles], Path]:
    """A saved agent with other entries in `model.json`; those of `policy` are changed one by one."""

    def change(parts: Parts, inside: Path) -> Parts:
        about = json.loads(parts["model.json"])
        about["policy"] |= changes.get("policy", {})
        about |= {name: value for name, value in changes.items() if name != "policy"}
        return {"model.json": json.dumps(about).encode()}

    return _agent(change)


def _tensors(part: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path, ValidFiles], Path]:
    """A saved agent of which the floating-point tensors of a part are changed."""

    def changed(parts: Parts, inside: Path) -> Parts:
        tensors = load(parts[part])
        return {part: save({name: change(t) if t.is_floating_point() else t for name, t in tensors.items()})}

    return _agent(changed)


def _with_bomb(announced: int) -> Callable[[Path, ValidFiles], Path]:
    """A saved agent whose head unpacks to zeros."""

    def make(inside: Path, valid_files: ValidFiles) -> Path:
        checksum = zeros_checksum() if announced == BOMB_BYTES else 0
        bomb = raw_zip(_HEAD, deflated(), announced, checksum, zipfile.ZIP_DEFLATED)
        file = inside / "model.zip"
        file.write_bytes(bomb)
        with zipfile.ZipFile(file, "a") as archive:
            for name, content in valid_files.agent.items():
                if name != _HEAD:
                    archive.writestr(name, content)
        return file

    return make


def _further(parts: Parts, inside: Path) -> Parts:
    return {
        "data": json.dumps({"policy": {":type:": "x", ":serialized:": "gASVAAAA"}}).encode(),
        "policy.pth": pickled(inside),
        "code.py": b"raise SystemExit",
        "../out.py": b"raise SystemExit",
        f"{inside.parent}/out.txt": b"out",
    }


_CASE = partial(HostileFile, "agent", read=_load)
_NOT_ONE, _NUMBERS, _FIT = "is not a checkpoint of this package", "NaN or infinity", "does not fit"
_PARTS = [
    *(
        _CASE(f"pickle as {part}", _agent(lambda _, inside, part=part: {part: pickled(inside)}), says=part)  # type: ignore[misc]
        for part in ("model.json", _HEAD, _ADAPTER, _METHOD)
    ),
    _CASE(
        "pickle as adapter_config.json",
        _agent(lambda _, inside: {"adapter/adapter_config.json": pickled(inside)}),
        expected=HARMLESS,
    ),
    _CASE("further parts with code", _agent(_further), expected=HARMLESS),
    _CASE("pickle", _bytes(pickled), says=_NOT_ONE),
    _CASE("cut off", _bytes(lambda _: b"PK\3\4" + bytes(100)), says=_NOT_ONE),
    _CASE("bomb as a part", _with_bomb(BOMB_BYTES), says="max_ratio"),
    _CASE("bomb as a part, announced as small", _with_bomb(100), says=_HEAD),
    _CASE(
        "very many parts",
        _bytes(lambda _: raw_zip("a", b"", 0, 0, zipfile.ZIP_STORED, entries=100_001)),
        says="holds more than 100,000 files",
    ),
    _CASE("header of 2**63 bytes", _agent(lambda *_: {_HEAD: struct.pack("<Q", 2**63) + b"{}"}), says=_HEAD),
    _CASE("NaN in the head", _tensors(_HEAD, lambda t: t * torch.nan), says=_NUMBERS),
    _CASE("infinity in the head", _tensors(_HEAD, lambda t: t + torch.inf), says=_NUMBERS),
    _CASE("NaN in the adapter", _tensors(_ADAPTER, lambda t: t * torch.nan), says=_NUMBERS),
    _CASE("NaN in the method", _tensors(_METHOD, lambda t: t + torch.nan), says="holds NaN"),
    _CASE("whole numbers in the head", _tensors(_HEAD, lambda t: t.long()), says=_FIT),
    _CASE("whole numbers in the adapter", _tensors(_ADAPTER, lambda t: t.long())),
    _CASE("another shape of the head", _tensors(_HEAD, lambda t: t[..., None].clone()), says=_FIT),
    _CASE("8-bit floats in the head", _tensors(_HEAD, lambda t: t.to(torch.float8_e4m3fn))),
]
_DESCRIPTIONS = [
    _CASE("deep JSON", _agent(lambda *_: {"model.json": nested_json(100_000).encode()}), says="levels deep"),
    _CASE("JSON 500 levels deep", _described(class_names=json.loads(nested_json(500))), says="levels deep"),
    _CASE(
        "JSON of 5,000 digits", _agent(lambda *_: {"model.json": b'{"a": ' + b"9" * 5_000 + b"}"}), says="model.json"
    ),
    _CASE("JSON of a list", _agent(lambda *_: {"model.json": b"[1]"}), says="no JSON object"),
    HostileFile("agent", "algorithm that is a function", _described(algorithm="os.system"), EPG.load, says="os.system"),
    _CASE("policy class that is a function", _described(policy_class="builtins.exec"), says="builtins.exec"),
    _CASE("optimizer that is a module", _described(optimizer="lr_scheduler")),
    _CASE("objective that is a function", _described(objective="os.system")),
    _CASE("model of a folder", _described(policy={"model": "local-dir:/tmp"}), says="not one of timm's models"),
    _CASE("model of another's hub", _described(policy={"model": "hf-hub:a/b"}), says="not one of timm's models"),
    _CASE("weights file of the system", _described(policy={"weights": "/etc/hostname"})),
    _CASE("images of 16,384 x 16,384", _described(observation_shape=[2**14, 2**14, 3]), says="observation_shape"),
    _CASE("images of many axes", _described(observation_shape=[2**12] * 9)),
    _CASE("10**12 actions", _described(num_actions=10**12), says="num_actions"),
    _CASE("model input of 10**6 pixels", _described(policy={"input_size": 10**6}), says="input_size"),
    _CASE("adapter of rank 10**9", _described(policy={"peft": "lora:r=1000000000"}), says="the saved r is"),
    _CASE("10**9 prompts", _described(policy={"peft": "vpt:length=1000000000"}), says="the saved length is"),
    _CASE(
        "buffer of 10**12 images", _described(policy={"method": "replay:size=1000000000000"}), says="the saved size is"
    ),
    _CASE("specification of 10**6 commas", _described(policy={"peft": "lora:r=1" + "," * 10**6}), says="characters"),
    _CASE("specification of deep JSON", _described(policy={"peft": "lora:r=" + nested_json(4_000)})),
    _CASE("crop scale without end", _described(crop_scale=1e999)),
    HostileFile(
        "agent",
        "class names with control characters",
        _described(class_names=[f"\x1b[2J{number}\n\x00\x07" for number in range(4)]),
        _print_names,
        HARMLESS,
    ),
]


def _state(change: Callable[[Parts, Path], Parts]) -> Callable[[Path, ValidFiles], Path]:
    """The state of a stopped run, with some parts changed."""

    def make(inside: Path, valid_files: ValidFiles) -> Path:
        file = inside / "step_000000001.zip"
        write_training_state(file, {"momentum": torch.ones(4)})
        parts = read_zip(file)
        return write_zip(file, parts | change(parts, inside))

    return make


_STATE = partial(HostileFile, "training state", read=read_training_state)
_SAVED = "state.safetensors"
_STATES = [
    _STATE("as it was saved", _state(lambda *_: {}), expected=HARMLESS),
    _STATE("pickle as manifest", _state(lambda _, inside: {"manifest.json": pickled(inside)}), says="manifest.json"),
    _STATE("pickle as state", _state(lambda _, inside: {_SAVED: pickled(inside)}), says=_SAVED),
    _STATE("other tensors", _state(lambda *_: {_SAVED: save({"momentum": torch.zeros(4)})}), says=_SAVED),
    _STATE(
        "manifest without hashes", _state(lambda *_: {"manifest.json": b'{"format": 1, "sha256": 3}'}), says="SHA-256"
    ),
    _STATE("later format", _state(lambda *_: {"manifest.json": b'{"format": 9}'}), says="format 9"),
    _STATE("deep manifest", _state(lambda *_: {"manifest.json": nested_json(100_000).encode()}), says="levels deep"),
    _STATE("further part with code", _state(lambda _, inside: {"code.pkl": pickled(inside)}), expected=HARMLESS),
]
CASES = [*_PARTS, *_DESCRIPTIONS, *_STATES]
"""Files that `load_agent` and `read_training_state` read."""

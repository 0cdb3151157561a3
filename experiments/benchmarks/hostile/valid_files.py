"""Good files, of which hostile ones are made, and the parts that these have in common."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BOMB_BYTES = 2**29
"""Bytes that a bomb unpacks to."""
WIDTH = 100_000


class Payload:
    """An object whose pickle makes a folder when it is read.

    Args:
        folder: The folder, by which is known that the code ran.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        """What a pickle of it calls."""
        return os.mkdir, (self._folder,)


def payload(inside: Path) -> Payload:
    """The object for a case whose file is made in this folder."""
    return Payload(inside.parent / "canary")


def pickled(inside: Path) -> bytes:
    """Its pickle."""
    return pickle.dumps(payload(inside), protocol=2)


@cache
def picture(width: int = 8, height: int = 8) -> bytes:
    """A PNG."""
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (40, 80, 120)).save(stream, "PNG")
    return stream.getvalue()


def class_folders() -> dict[str, bytes]:
    """Names and contents of the files of a small dataset: two classes of three images."""
    return {f"{name}/{number}.png": picture() for name in ("cat", "dog") for number in range(3)}


@cache
def deflated(length: int = BOMB_BYTES) -> bytes:
    """Zeros, as a zip contains them."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = squeeze.compress(bytes(2**20)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return length // 2**20 * block + squeeze.flush()


@cache
def zeros_checksum(length: int = BOMB_BYTES) -> int:
    """CRC-32 of zeros."""
    checksum = 0
    for _ in range(length // 2**20):
        checksum = zlib.crc32(bytes(2**20), checksum)
    return checksum


def npy(array: NDArray[Any], shape: tuple[int, ...] | None = None) -> bytes:
    """A `.npy` file, which may announce another shape than that of its numbers."""
    stream = io.BytesIO()
    if shape is None:
        np.save(stream, array, allow_pickle=True)
        return stream.getvalue()
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + array.tobytes()


def objects(inside: Path) -> NDArray[Any]:
    """An array of an object whose pickle runs code."""
    array = np.empty(1, dtype=object)
    array[0] = payload(inside)
    return array


def nested_json(levels: int) -> str:
    """JSON of lists in lists."""
    return "[" * levels + "]" * levels


def write_zip(file: Path, contents: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """Write a zip of some members."""
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file


def read_zip(file: Path) -> dict[str, bytes]:
    """The members of a zip."""
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class ValidFiles:
    """Good files, each made when it is first asked for.

    Args:
        folder: Where they are made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def agent(self) -> dict[str, bytes]:
        """The parts of a saved agent."""
        import gymnasium as gym

        from agents import EPG
        from cls_env import TaskStream, load_dataset

        images = load_dataset("glyphs", num_classes=4, train_per_class=4, test_per_class=2, margin=0)
        env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=4, dataset=TaskStream(images, 2, seed=0))
        policy = {"method": "der++:size=4", "model": "test_vit", "pretrained": False}
        agent = EPG("ViTPolicy", env, "ce", batch_size=4, seed=0, device="cpu", policy_kwargs=policy)
        agent.learn(4).save(self._folder / "agent.zip")
        return read_zip(self._folder / "agent.zip")

    def run(self, folder: Path) -> Path:
        """Write a finished run of two tasks to a folder."""
        from experiments.config.settings import RunConfig

        config = RunConfig(dataset="folder", root="nowhere").as_json()
        tasks = [{"classes": classes, "domain": None, "test_images": 2} for classes in (["cat", "dog"], ["cow", "hen"])]
        stream = {"tasks": tasks, "images_sha256": "0", "fingerprint": "0", "class_order": [0, 1, 2, 3]}
        (folder / "predictions").mkdir(parents=True)
        for name, content in (
            ("config.json", config),
            ("protocol.json", {"stream": stream, "config": config}),
            ("metrics.json", {"final_accuracy": 0.75, "forgetting": 0.0}),
        ):
            (folder / name).write_text(json.dumps(content, default=str), encoding="utf-8")
        (folder / "accuracy_matrix.csv").write_text("end_task,task_0,task_1\n0,0.5,\n1,0.5,1\n")
        np.savez_compressed(folder / "predictions" / "after_task_1.npz", allow_pickle=False, **answers())
        return folder


def answers() -> dict[str, Any]:
    """The predictions of the good run."""
    labels = np.array([0, 1, 2, 3])
    chosen = np.array([0, 0, 2, 3])
    confidence = np.full(4, 0.5, dtype=np.float32)
    return {
        "task": np.array([0, 0, 1, 1]),
        **{"labels": labels, "predictions": chosen, "task_predictions": chosen, "confidence": confidence},
        **{"entropy": confidence, "task_entropy": confidence, "log_likelihood": -confidence},
    }

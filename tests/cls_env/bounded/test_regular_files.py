"""Pipes, whose reader would wait for ever, are refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cls_env.bounded.arrays import map_npy, read_npy, read_npz
from cls_env.bounded.json_text import read_json
from experiments.files import reading


def read_within(file: Path) -> None:
    with reading(file, "remove it"):
        file.read_bytes()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("read", [read_json, read_npy, map_npy, read_npz, read_within])
def test_a_pipe_is_refused(read: Callable[[Path], object], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is not a regular file"):
        read(tmp_path / "pipe")


def test_a_table_of_gigabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "steps.csv").open("w") as file:
        file.truncate(2**34)  # it takes no room on the disk
    with pytest.raises(ValueError, match=r"steps\.csv can't be read .*more than 268,435,456 bytes\): remove it"):
        read_within(tmp_path / "steps.csv")

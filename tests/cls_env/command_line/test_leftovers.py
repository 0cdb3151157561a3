"""Temporary files of killed processes are removed when their target is written again; all others stay."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agents.checkpoint.folder_aside import check_writable, folder_aside
from cls_env.command_line.leftovers import remove_leftovers, temporary_prefix
from experiments.files import write_text

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="on Windows they stay")


@pytest.fixture
def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_leftovers_of_killed_processes_are_removed(ended: int, tmp_path: Path) -> None:
    left = [tmp_path / f".[x].csv.{ended}.tmp", tmp_path / f".[x].csv.{ended}.ab12"]
    left[0].write_text("half")
    left[1].mkdir()
    (left[1] / "part").write_text("half")
    others = [".other.csv.1.tmp", f".[x].csv.{os.getpid()}.tmp", ".[x].csv.copy.tmp", "[x].csv"]
    for name in others:
        (tmp_path / name).write_text("kept")
    remove_leftovers(tmp_path / "[x].csv")
    assert not any(file.exists() for file in left) and all((tmp_path / name).exists() for name in others)


def test_writing_removes_them(ended: int, tmp_path: Path) -> None:
    (tmp_path / f".table.md.{ended}.tmp").write_text("half")
    write_text(tmp_path / "table.md", "whole")
    assert [file.name for file in tmp_path.iterdir()] == ["table.md"]
    (tmp_path / f".model.zip.{ended}.ab12").mkdir()
    with folder_aside(tmp_path / "model.zip") as folder:
        assert folder.name.startswith(temporary_prefix(tmp_path / "model.zip"))
    assert [file.name for file in tmp_path.iterdir()] == ["table.md"]


def test_a_folder_that_cannot_be_written_is_noticed_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match=r"model\.zip can't be written: .*make room, or choose another place"):
        check_writable(tmp_path / "file" / "model.zip")
    check_writable(tmp_path / "new" / "model.zip")
    assert list((tmp_path / "new").iterdir()) == []

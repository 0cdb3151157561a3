"""Writing checkpoints where that is not possible."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agents import EPG
from tests.full_disk import files_of_at_most


def test_a_file_that_can_not_be_written_is_named_and_the_old_one_kept(
    make_vec: Callable[..., object], tmp_path: Path
) -> None:
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, seed=0, device="cpu").learn(8)
    agent.save(tmp_path / "agent.zip")
    before = (tmp_path / "agent.zip").read_bytes()
    with (
        files_of_at_most(20_000),
        pytest.raises(OSError, match=r"agent\.zip can't be written: .*make room, or choose another place"),
    ):
        agent.save(tmp_path / "agent.zip")
    assert (tmp_path / "agent.zip").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["agent.zip"]
    assert sys.getsizeof(before) > 20_000

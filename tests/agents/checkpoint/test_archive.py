"""Writing checkpoints where that is not possible."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents import EPG

resource = pytest.importorskip("resource", reason="limits of files are those of Unix")


@pytest.fixture
def _small_files() -> Iterator[None]:
    """No file may be larger than 20 kB, as on a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_can_not_be_written_is_named_and_the_old_one_kept(
    make_vec: Callable[..., object], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, seed=0, device="cpu").learn(8)
    agent.save(tmp_path / "agent.zip")
    before = (tmp_path / "agent.zip").read_bytes()
    request.getfixturevalue("_small_files")
    with pytest.raises(OSError, match=r"agent\.zip can't be written: .*make room, or choose another place"):
        agent.save(tmp_path / "agent.zip")
    assert (tmp_path / "agent.zip").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["agent.zip"]
    assert sys.getsizeof(before) > 20_000

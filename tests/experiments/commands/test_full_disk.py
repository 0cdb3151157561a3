"""Commands on a full disk end with one line, and leave nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import pytest

from agents import EPG
from experiments.__main__ import main
from tests.agents.policies import TINY
from tests.full_disk import files_of_at_most

pytestmark = pytest.mark.long


@pytest.fixture
def agent(make_vec: Callable[..., gym.vector.VectorEnv]) -> EPG:
    return EPG("ViTPolicy", make_vec(8), "ce", batch_size=8, seed=0, device="cpu", policy_kwargs=TINY).learn(8)


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that answers a command where no file may be larger than 4 kB."""
    with files_of_at_most(4_000):
        assert main(words) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize("to", ["timm", "peft"])
def test_an_export(to: str, agent: EPG, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agent.save(tmp_path / "model.zip")
    line = refused(["export", str(tmp_path / "model.zip"), "--to", to, "--out", str(tmp_path / "out")], capsys)
    assert f"{tmp_path / 'out'} can't be written" in line
    assert [file.name for file in tmp_path.iterdir()] == ["model.zip"]

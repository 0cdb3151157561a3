"""`cls-env export` on a saved agent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import pytest

from agents import EPG
from experiments.__main__ import main
from tests.agents.policies import TINY

pytestmark = pytest.mark.long


@pytest.fixture
def saved(make_vec: Callable[..., gym.vector.VectorEnv], tmp_path: Path) -> Path:
    """An agent with an Adapter, after a few images."""
    kwargs = TINY | {"peft": "adapter"}
    agent = EPG("ViTPolicy", make_vec(8), "ce", batch_size=8, seed=0, device="cpu", policy_kwargs=kwargs).learn(8)
    agent.save(tmp_path / "model.zip")
    return tmp_path / "model.zip"


def test_a_refusal_names_the_format_that_works(saved: Path, capsys: pytest.CaptureFixture) -> None:
    out = saved.parent / "out"
    assert main(["export", str(saved), "--to", "timm", "--out", str(out)]) == 2
    assert "use --to onnx" in capsys.readouterr().err and not out.exists()


def test_it_says_what_it_wrote(saved: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("onnxruntime")
    out = saved.parent / "out"
    assert main(["export", str(saved), "--to", "onnx", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "2 classes for onnx" in printed and str(out / "README.md") in printed
    assert (out / "model.onnx").exists()


def test_a_folder_with_files_is_refused_first(saved: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["export", str(saved.parent / "absent.zip"), "--to", "timm", "--out", str(saved.parent)]
    assert main(arguments) == 2
    assert "is not empty" in capsys.readouterr().err

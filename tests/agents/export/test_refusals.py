"""What can't be exported is refused in one line, and leaves nothing behind."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import pytest

from agents import EPG
from agents.export import export_agent
from tests.agents.policies import TINY

pytestmark = pytest.mark.long

Trained = Callable[..., EPG]
MakeVec = Callable[..., gym.vector.VectorEnv]
REFUSED = [
    ("timm", "lae", "lora", "method 'lae' computes scores of its own"),
    ("timm", "ranpac:projections=50", None, "computes scores of its own"),
    ("timm", "l2p", None, "use --to onnx"),
    ("timm", "sequential", "adapter", "peft='adapter' can't be merged"),
    ("timm", "sequential", "vpt", "peft='vpt' can't be merged"),
    ("peft", "lae", "lora", "computes scores of its own"),
    ("peft", "sequential", "prefix", "peft has no module 'prefix'; use --to onnx"),
    ("peft", "sequential", "ssf", "peft has no module 'ssf'; use --to timm"),
    ("peft", "sequential", "dora", "is on queries, keys or values alone"),
    ("peft", "sequential", "full", "is no adapter"),
    ("peft", "ncm", None, "is no adapter"),
    ("tim", "sequential", "lora", "did you mean 'timm'"),
]


@pytest.mark.parametrize(("to", "method", "peft", "message"), REFUSED)
def test_in_one_line(to: str, method: str, peft: str | None, message: str, trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        export_agent(trained(method, peft), to, tmp_path / "out")
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_files_is_kept(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not empty"):
        export_agent(trained(), "timm", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_filled(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert export_agent(trained(), "timm", tmp_path / "out") == tmp_path / "out"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_an_agent_without_classes(make_vec: MakeVec, tmp_path: Path) -> None:
    agent = EPG("ViTPolicy", make_vec(8), "ce", batch_size=8, device="cpu", policy_kwargs=TINY)
    with pytest.raises(ValueError, match="has seen no class yet"):
        export_agent(agent, "timm", tmp_path / "out")


def test_onnx_says_what_to_install(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    absent = {"onnx", "onnxruntime"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else found(name))
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'cls-env\[onnx\]'"):
        export_agent(trained(), "onnx", tmp_path / "out")
    assert not list(tmp_path.iterdir())

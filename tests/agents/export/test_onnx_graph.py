"""An ONNX graph has the scores of the agent that it was exported from, for any method."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from agents import EPG
from agents.export import export_agent
from agents.methods.l2p import L2P
from agents.networks.network import Network
from tests.agents.export.conftest import files_of, scores_of
from tests.slow_cases import slow_but

onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.long

Trained = Callable[..., EPG]
METHODS = {
    "lae": None,
    "l2p": None,
    "l2p:head=cls": None,
    "dualprompt:general_blocks=1": None,
    "coda-prompt:components=30": None,
    "ranpac:projections=50": None,
    "ncm": None,
    "replay": "adapter",
    "sequential": "lora",
    "sd-lora": None,
    "joint": "prefix",
    "der++": "vpt",
}


@pytest.mark.parametrize("method", slow_but(["lae", "der++"], METHODS))
def test_the_scores_are_the_agents(method: str, trained: Trained, images: np.ndarray, tmp_path: Path) -> None:
    agent = trained(method, METHODS[method])
    folder = export_agent(agent, "onnx", tmp_path / "graph")
    assert files_of(folder) == {"README.md", "labels.json", "model.onnx", "preprocessing.json"}
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32) / 255
    wanted = scores_of(agent, images)
    for count in (1, len(images)):
        logits, probabilities = session.run(["logits", "probabilities"], {"pixels": pixels[:count]})
        assert np.abs(logits - wanted[:count].numpy()).max() <= 1e-4 * max(1, wanted.abs().max())
        assert np.abs(probabilities - wanted[:count].softmax(dim=1).numpy()).max() <= 1e-4


def test_what_cannot_be_traced_is_refused_by_name(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="method 'lae' with peft='fourierft' can't be traced"):
        export_agent(trained("lae", "fourierft"), "onnx", tmp_path / "graph")
    assert not list(tmp_path.iterdir())


def test_a_graph_with_other_scores_is_refused(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scores(self: L2P, network: Network, inputs: torch.Tensor) -> torch.Tensor:
        return network(inputs) * (1 if inputs.shape[0] == 2 else -1)

    agent = trained("l2p")
    monkeypatch.setattr(L2P, "scores", scores)
    with pytest.raises(ValueError, match="the ONNX graph gives logits that differ"):
        export_agent(agent, "onnx", tmp_path / "graph")
    assert not list(tmp_path.iterdir())


def test_the_preprocessing_is_described(trained: Trained, tmp_path: Path) -> None:
    folder = export_agent(trained(peft="none", input_size=16, crop_fraction=0.8), "onnx", tmp_path / "graph")
    described = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
    assert described["input"]["shape"] == ["N", 3, 16, 16]
    assert described["stored_width_and_height"] == [32, 32] and described["made_square_by"] == "crop"
    assert described["resize_to_width_and_height"] == [20, 20]
    assert described["crop_left_upper_right_lower"] == [2, 2, 18, 18]

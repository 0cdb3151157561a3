"""A plain timm model has the scores of the agent that it was exported from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from agents import EPG
from agents.export import export_agent
from tests.agents.export.conftest import close, files_of, scores_of, transformed
from tests.agents.policies import EMBEDDED
from tests.slow_cases import slow_but

pytestmark = pytest.mark.long

Trained = Callable[..., EPG]
QUICK = ["sequential lora", "sequential ssf", "sd-lora lora:scale=true", "ncm none"]
CASES = [
    "sequential lora",
    "sequential lora:scale=true,targets=q+v",
    "sequential lora:targets=linear",
    "sequential ssf",
    "sequential ia3",
    "sequential dora",
    "sequential loha",
    "sequential none",
    "der++ full",
    "inflora lora:r=2",
    "sd-lora lora:scale=true",
    "ncm none",
    "ncm:metric=euclidean none",
]


def logits(folder: Path, images: np.ndarray) -> torch.Tensor:
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    with torch.no_grad():
        return model(transformed(model, images))


@pytest.mark.parametrize("case", slow_but(QUICK, CASES))
def test_the_scores_are_the_agents(case: str, trained: Trained, images: np.ndarray, tmp_path: Path) -> None:
    agent = trained(*case.split())
    before = {name: tensor.clone() for name, tensor in agent.policy.state_dict().items()}
    folder = export_agent(agent, "timm", tmp_path / "model")
    assert files_of(folder) == {"README.md", "config.json", "labels.json", "model.safetensors"}
    assert close(logits(folder, images), scores_of(agent, images))
    after = agent.policy.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)


def test_outputs_are_in_the_order_of_the_actions(trained: Trained, images: np.ndarray, tmp_path: Path) -> None:
    agent = trained(tasks=(1, 0))
    seen = agent.policy.seen_classes.tolist()
    assert seen != sorted(seen)
    folder = export_agent(agent, "timm", tmp_path / "model")
    names = [agent.class_names[action] for action in sorted(seen)]
    assert json.loads((folder / "labels.json").read_text(encoding="utf-8")) == names
    assert timm.create_model(f"local-dir:{folder}").pretrained_cfg["label_names"] == names
    assert close(logits(folder, images), scores_of(agent, images))


def test_the_embedded_backbone_comes_with_its_architecture(
    trained: Trained, images: np.ndarray, tmp_path: Path
) -> None:
    agent = trained(**EMBEDDED)
    folder = export_agent(agent, "timm", tmp_path / "model")
    assert "vit_micro_patch8_32.py" in files_of(folder)
    assert close(logits(folder, images), scores_of(agent, images))


def test_a_resnet_without_an_image_size(trained: Trained, images: np.ndarray, tmp_path: Path) -> None:
    agent = trained(peft="full", model="test_resnet")
    folder = export_agent(agent, "timm", tmp_path / "model")
    assert close(logits(folder, images), scores_of(agent, images))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [16, 32, 64])
def test_timms_transform_gives_the_test_view(
    size: int, interpolation: str, trained: Trained, images: np.ndarray, tmp_path: Path
) -> None:
    view = {"input_size": size, "crop_fraction": 0.8, "interpolation": interpolation}
    agent = trained(**view)
    model = timm.create_model(f"local-dir:{export_agent(agent, 'timm', tmp_path / 'model')}", pretrained=True)
    preprocessing = agent.policy.network.preprocessing
    wanted = preprocessing(torch.from_numpy(images))
    levels = ((transformed(model, images) - wanted) * preprocessing.std * 255).abs()
    if size == 32:
        assert levels.max() < 1e-3
    elif interpolation == "bilinear":
        assert levels.max() < 1.5  # Pillow rounds to whole levels
    else:
        assert levels.mean() < 0.5  # and clips after each of the two passes

"""Plain peft on plain timm has the scores of the agent that the adapter was exported from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from peft import LoraConfig, PeftConfig, PeftModel

from agents import EPG
from agents.export import export_agent
from tests.agents.export.conftest import close, files_of, scores_of, transformed
from tests.agents.policies import EMBEDDED
from tests.slow_cases import slow_but

pytestmark = pytest.mark.long

Trained = Callable[..., EPG]
QUICK = ["sequential lora", "sd-lora lora:scale=true", "sequential dora:targets=mlp"]
CASES = [
    "sequential lora",
    "sequential lora:scale=true,targets=q+v",
    "sequential lora:targets=kv+fc2",
    "sequential lora:targets=linear,lora_alpha=16",
    "sequential dora:targets=mlp",
    "sequential oft:targets=qkv",
    "sequential ln-tuning",
    "inflora lora:r=2",
    "sd-lora lora:scale=true",
]


def loaded(folder: Path) -> PeftModel:
    classes = len(json.loads((folder / "labels.json").read_text(encoding="utf-8")))
    backbone = timm.create_model(f"local-dir:{folder / 'backbone'}", pretrained=True, num_classes=classes)
    return PeftModel.from_pretrained(backbone, str(folder)).eval()


def same_scores(agent: EPG, folder: Path, images: np.ndarray) -> bool:
    model = loaded(folder)
    with torch.no_grad():
        return close(model(transformed(model.get_base_model(), images)), scores_of(agent, images))


@pytest.mark.parametrize("case", slow_but(QUICK, CASES))
def test_the_scores_are_the_agents(case: str, trained: Trained, images: np.ndarray, tmp_path: Path) -> None:
    agent = trained(*case.split())
    folder = export_agent(agent, "peft", tmp_path / "adapter")
    adapter = {"README.md", "labels.json", "adapter_config.json", "adapter_model.safetensors"}
    assert files_of(folder) == adapter | {"backbone/config.json", "backbone/model.safetensors"}
    assert same_scores(agent, folder, images)


def test_keys_and_values_become_one_lora_of_the_fused_layer(trained: Trained, tmp_path: Path) -> None:
    folder = export_agent(trained("sd-lora"), "peft", tmp_path / "adapter")
    config = PeftConfig.from_pretrained(str(folder))
    assert type(config) is LoraConfig
    assert config.target_modules == {f"blocks.{block}.attn.qkv" for block in range(3)}
    assert config.r == config.lora_alpha == 2 * 2 * 4  # of two tasks, for keys and for values


def test_the_embedded_backbone_comes_with_its_architecture(
    trained: Trained, images: np.ndarray, tmp_path: Path
) -> None:
    agent = trained(**EMBEDDED)
    folder = export_agent(agent, "peft", tmp_path / "adapter")
    assert "backbone/vit_micro_patch8_32.py" in files_of(folder)
    assert same_scores(agent, folder, images)

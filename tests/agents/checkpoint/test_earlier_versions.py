"""Files of version 0.1.0 load, and their agents predict as they did."""

from __future__ import annotations

import pickle
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import EPG, ImageReplayBuffer, PolicyConfig, ViTFeatures
from agents.earlier_names import CLASSES, MODULES
from agents.sb3.policies import ViTActorCriticPolicy
from agents.sb3.task_by_task import MaskedDiscrete

FILES = Path(__file__).parent / "saved_by_0_1_0"
"""`ncm`: class means without a PEFT module. `bias`: LoRA, learned by gradients. `outputs.npz`: images and logits."""


@pytest.mark.parametrize("name", ["ncm", "bias"])
def test_a_saved_agent_gives_the_logits_that_it_gave(name: str) -> None:
    agent = EPG.load(FILES / f"{name}.zip", device="cpu")
    with np.load(FILES / "outputs.npz") as expected, torch.no_grad():
        logits = agent.policy(torch.from_numpy(expected["obs"])).numpy()
        assert np.isneginf(logits).sum() == np.isneginf(expected[name]).sum()
        np.testing.assert_allclose(logits, expected[name], rtol=1e-4, atol=1e-4)


def test_a_pickled_configuration_keeps_an_entry_that_had_another_name() -> None:
    entries = asdict(PolicyConfig(normalization="half", blocks=(1,)))
    entries["normalisation"] = entries.pop("normalization")
    config = PolicyConfig.__new__(PolicyConfig)
    config.__setstate__(entries)
    assert config == PolicyConfig(normalization="half", blocks=(1,))
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_features_extractor_takes_an_entry_that_had_another_name() -> None:
    space = spaces.Box(0, 255, (32, 32, 3), np.uint8)
    assert ViTFeatures(space, normalisation="none").preprocessing.std.flatten().tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("module", "name", "now"),
    [
        ("agents.task_policies", "ViTActorCriticPolicy", ViTActorCriticPolicy),
        ("agents.features", "ViTFeatures", ViTFeatures),
        ("agents.policy_config", "PolicyConfig", PolicyConfig),
        ("agents.image_replay", "ImageReplayBuffer", ImageReplayBuffer),
        ("agents.task_by_task", "CurrentActions", MaskedDiscrete),
    ],
)
def test_pickles_find_classes_under_their_earlier_names(module: str, name: str, now: type) -> None:
    assert pickle.loads(f"c{module}\n{name}\n.".encode()) is now
    assert module in MODULES and (name == now.__name__ or CLASSES[module, name] == now.__name__)

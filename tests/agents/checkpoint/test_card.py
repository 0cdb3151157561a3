"""The model card in a saved agent."""

from __future__ import annotations

import zipfile
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from huggingface_hub import ModelCard

from agents import EPG, load_agent
from cls_env import TaskStream, from_arrays
from tests.agents.algorithms.conftest import learn_tasks, rewritten
from tests.agents.policies import TINY

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def agent() -> EPG:
    """It has learned the first of two tasks, of classes with odd names."""
    images, labels = np.zeros((40, 32, 32, 3), dtype=np.uint8), np.arange(40) % 4
    dataset = from_arrays(images, labels, class_names=("a|*b*", "tick`", "new\nline", "ü"), name="odd")
    stream = TaskStream(dataset, 2, class_order="natural")
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=4, dataset=stream)
    made = EPG("ViTPolicy", env, batch_size=4, seed=0, device="cpu", policy_kwargs=TINY | {"method": "lae"})
    return learn_tasks(made, range(1), 8)


def card_of(file: Path) -> str:
    with zipfile.ZipFile(file) as archive:
        return archive.read("README.md").decode("utf-8")


def test_the_card_says_what_the_agent_is(agent: EPG, tmp_path: Path) -> None:
    agent.save(tmp_path / "model.zip")
    card = card_of(tmp_path / "model.zip")
    assert "- algorithm: `EPG`" in card and "- continual-learning method: `lae`" in card
    assert f"`{agent.policy.backbone_hash}`" in card and f"`{agent.stream_fingerprint}`" in card
    assert "- classes learned: `2 of 4`\n- in the order learned: `a|*b*`, `` tick` ``\n" in card
    assert "- learning_rate: `0.0005`" in card and "objective: `aepg`" in card
    assert "agent.classify(" in card and "cls-env predict" in card


def test_the_hub_reads_its_head(agent: EPG, tmp_path: Path) -> None:
    agent.save(tmp_path / "model.zip")
    head = ModelCard(card_of(tmp_path / "model.zip")).data
    assert head.library_name == "cls-env" and head.pipeline_tag == "image-classification"
    assert {"lora", "lae", "continual-learning"} <= set(head.tags) and head.license is None


def test_notes_are_added_to_the_card(agent: EPG, tmp_path: Path) -> None:
    agent.card_notes = {"Data": {"dataset": "two\nlines"}, "Measures": {"accuracy": [0.5, None]}, "Further": "*text*"}
    agent.save(tmp_path / "model.zip")
    agent.card_notes = {}
    card = card_of(tmp_path / "model.zip")
    assert "## Data\n\n- dataset: `two\\nlines`\n- tasks learned: `1`\n" in card
    assert "## Measures\n\n- accuracy: `0.5`, none\n" in card and "## Further\n\n*text*\n" in card


def test_reading_does_not_depend_on_the_card(agent: EPG, tmp_path: Path) -> None:
    agent.save(tmp_path / "model.zip")
    other = rewritten(tmp_path / "model.zip", tmp_path / "other.zip", {"README.md": None})
    assert load_agent(other, device="cpu").class_names == agent.class_names

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents import EPG, PolicyConfig, ViTPolicy
from agents.checkpoint.policy_file import (
    load_weights,
    policy_to_json,
    read_description,
    save_checkpoint,
    saved_policy_arguments,
)
from tests.agents.policies import changed, make_policy, step, whole

pytestmark = pytest.mark.long


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def saved(policy: ViTPolicy, file: Path) -> Path:
    return save_checkpoint(file, policy, policy_to_json(policy))


def loaded(file: Path, **overrides: object) -> ViTPolicy:
    policy = make_policy(**(saved_policy_arguments(read_description(file)) | overrides))
    load_weights(file, policy)
    return policy


@pytest.mark.parametrize("blocks", [range(2), np.arange(2), [0, 1]])
def test_blocks_are_kept_as_whole_numbers_that_json_holds(blocks: Any) -> None:
    assert json.loads(json.dumps(policy_to_json(make_policy(blocks=blocks))))["policy"]["blocks"] == [0, 1]


@pytest.mark.parametrize("peft", ["full", "lora", "none"])
def test_saved_policy_gives_the_same_logits(images: torch.Tensor, tmp_path: Path, peft: str) -> None:
    model = "test_resnet" if peft == "full" else "test_vit"
    policy = make_policy(model=model, pretrained=False, peft=peft, normalization="none", backbone_seed=3)
    policy.begin_task([4, 1], freeze_peft=False)
    step(policy, images)
    again = loaded(saved(policy, tmp_path / "policy.zip"))
    policy.set_training_mode(False)
    with torch.no_grad():
        assert torch.equal(again(images), policy(images))
    assert again.config == policy.config and again.backbone_hash == policy.backbone_hash
    assert changed(again, policy.state_dict()) == set()


def test_agent_that_trains_the_whole_backbone_is_saved(make_vec: Callable[..., Any], tmp_path: Path) -> None:
    arguments = {"model": "test_resnet", "pretrained": False, "peft": "full"}
    env = make_vec(8)
    agent = EPG("ViTPolicy", env, batch_size=8, seed=0, device="cpu", policy_kwargs=arguments).learn(24)
    agent.get_env().set_options({"task": 1})
    agent.learn(40, reset_num_timesteps=False).save(tmp_path / "agent")
    with zipfile.ZipFile(tmp_path / "agent.zip") as archive:
        assert sorted(archive.namelist()) == ["README.md", "backbone.safetensors", "head.safetensors", "model.json"]
    again = EPG.load(tmp_path / "agent", device="cpu")
    observations = make_vec(20, split="test").reset()[0]
    agent.policy.set_training_mode(False)
    with torch.no_grad():
        logits = [model.policy(torch.from_numpy(observations)) for model in (again, agent)]
    assert torch.equal(*logits)


def rewritten(file: Path, name: str, content: bytes | None) -> Path:
    """A copy of a checkpoint with one part replaced, or left out."""
    target = file.with_name("rewritten.zip")
    with zipfile.ZipFile(file) as reader, zipfile.ZipFile(target, "w") as writer:
        for part in reader.namelist():
            if part != name or content is not None:
                writer.writestr(part, content if part == name and content is not None else reader.read(part))
    return target


def with_entries(file: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    description = read_description(file)
    change(description["policy"])
    return rewritten(file, "model.json", json.dumps(description).encode())


def test_older_descriptions_have_what_they_stood_for(tmp_path: Path, images: torch.Tensor) -> None:
    policy = make_policy()
    policy.begin_task([0, 1], freeze_peft=False)
    step(policy, images)
    new = ("weights", "normalization", "input_size", "crop_fraction", "interpolation")
    older = with_entries(saved(policy, tmp_path / "a.zip"), lambda entries: [entries.pop(name) for name in new])
    assert loaded(older).config == PolicyConfig(crop_fraction=0.875, interpolation="bilinear")
    assert changed(loaded(older), policy.state_dict()) == set()


def test_descriptions_of_later_versions_are_refused(tmp_path: Path) -> None:
    file = saved(make_policy(), tmp_path / "a.zip")
    with pytest.raises(ValueError, match="entries unknown here: colour, smell; a later version"):
        loaded(with_entries(file, lambda entries: entries.update(smell=1, colour="red")))


def test_damaged_whole_backbones_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load, save

    name = "backbone.safetensors"
    file = saved(whole(), tmp_path / "a.zip")
    with pytest.raises(ValueError, match=rf"holds no {name}, which does not fit a policy of peft='full'"):
        loaded(rewritten(file, name, None))
    with pytest.raises(ValueError, match=rf"holds a {name}, which does not fit a policy of peft='none'"):
        loaded(file, peft="none")
    with zipfile.ZipFile(file) as archive:
        tensors = load(archive.read(name))
    tensors.pop("bn1.running_mean")
    with pytest.raises(ValueError, match=r"Tensors 1 missing: bn1.running_mean float32 \(32,\)$"):
        loaded(rewritten(file, name, save(tensors)))

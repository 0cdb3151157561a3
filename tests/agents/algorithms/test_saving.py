"""Saved agents predict, and continue learning, as before; what a file can't hold is named."""

from __future__ import annotations

import functools
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from peft import PeftModel
from stable_baselines3.common.callbacks import CheckpointCallback

from agents import EPG, ViTPolicy
from agents.checkpoint.archive import read_json
from agents.checkpoint.policy_file import save_checkpoint
from agents.networks.backbone import create_backbone
from agents.objectives import cross_entropy_loss
from agents.peft_modules.target_modules import split_qkv
from tests.agents.algorithms.conftest import learn_tasks, rewritten
from tests.agents.policies import EMBEDDED

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
ALIKE = {"batch_size": 8, "device": "cpu"}


def test_saved_agent_predicts_the_same(make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path) -> None:
    agent = learn_tasks(make_agent(), range(2))
    agent.save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", device="cpu")
    images = torch.from_numpy(make_vec(20, split="test").reset()[0])
    with torch.no_grad():
        assert torch.equal(loaded.policy(images), agent.policy(images))
    assert loaded.num_timesteps == 160 and loaded.objective == "aepg"


def test_loaded_agent_goes_on_as_if_never_saved(
    make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path
) -> None:
    agent = learn_tasks(make_agent(), range(1))
    agent.save(tmp_path / "agent.zip")
    loaded = EPG.load(tmp_path / "agent.zip", make_vec(8), device="cpu")
    for model in (agent, loaded):
        learn_tasks(model, range(1, 3))
    for name, tensor in agent.policy.state_dict().items():
        assert torch.equal(tensor, loaded.policy.state_dict()[name]), name


def test_loaded_agent_goes_on_within_a_task(make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path) -> None:
    learn_tasks(make_agent(), range(1)).save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", make_vec(8), device="cpu")
    before = loaded.policy.network.peft_parameters[0].detach().clone()
    learn_tasks(loaded, range(1), 8)
    assert loaded.policy.network.tasks_begun == 1
    assert not torch.equal(loaded.policy.network.peft_parameters[0], before)


def test_checkpoint_holds_no_code_and_loads_with_peft(
    make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path
) -> None:
    agent = learn_tasks(make_agent(policy_kwargs=EMBEDDED), range(1))
    agent.save(tmp_path / "agent")
    with zipfile.ZipFile(tmp_path / "agent.zip") as archive:
        names = sorted(archive.namelist())
        archive.extractall(tmp_path / "open")
    assert names == [
        "README.md",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "head.safetensors",
        "model.json",
    ]
    for name in names:
        with pytest.raises(Exception):  # noqa: B017  # whatever pickle says of bytes that are no pickle
            pickle.loads((tmp_path / "open" / name).read_bytes())
    backbone = create_backbone("vit_micro_patch8_32", True, (32, 32), seed=0)
    split_qkv(backbone, range(5))
    elsewhere = PeftModel.from_pretrained(backbone, str(tmp_path / "open" / "adapter")).eval()
    images = torch.from_numpy(make_vec(4).reset()[0])
    with torch.no_grad():
        torch.testing.assert_close(elsewhere(agent.policy.network.preprocessing(images)), agent.policy.features(images))


def test_checkpoint_callback_of_sb3(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    make_agent().learn(40, callback=CheckpointCallback(2, str(tmp_path)))
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["rl_model_16_steps.zip", "rl_model_32_steps.zip"]
    assert EPG.load(tmp_path / files[1], device="cpu").num_timesteps == 32


def test_agent_without_module_is_saved_too(make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path) -> None:
    agent = learn_tasks(make_agent(policy_kwargs={"peft": "none"}), range(2))
    agent.save(tmp_path / "agent")
    images = make_vec(20, split="test").reset()[0]
    loaded = EPG.load(tmp_path / "agent", device="cpu")
    assert np.array_equal(loaded.predict(images, deterministic=True)[0], agent.predict(images, deterministic=True)[0])


def test_functions_must_be_passed_to_load_again(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    make_agent(objective=cross_entropy_loss).learn(8).save(tmp_path / "agent")
    with pytest.raises(ValueError, match=r"function as objective: pass it again"):
        EPG.load(tmp_path / "agent")
    assert EPG.load(tmp_path / "agent", objective=cross_entropy_loss, device="cpu").objective is cross_entropy_loss


def test_damaged_checkpoints_are_refused(make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path) -> None:
    make_agent(policy_kwargs=EMBEDDED).learn(8).save(tmp_path / "agent")
    whole = tmp_path / "agent.zip"
    with zipfile.ZipFile(whole) as archive:
        description = archive.read("model.json")
    with pytest.raises(FileNotFoundError, match="no saved model at"):
        EPG.load(tmp_path / "other")
    (tmp_path / "half.zip").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(ValueError, match="damaged"):
        EPG.load(tmp_path / "half.zip")
    with pytest.raises(ValueError, match="holds no head"):
        EPG.load(rewritten(whole, tmp_path / "headless.zip", {"head.safetensors": None}), device="cpu")
    with pytest.raises(ValueError, match="lacks"):
        EPG.load(rewritten(whole, tmp_path / "bare.zip", _one_tensor_less(whole)), device="cpu")
    other = description.replace(b'"backbone_sha256": "', b'"backbone_sha256": "0')
    with pytest.raises(ValueError, match="other weights of vit_micro_patch8_32"):
        EPG.load(rewritten(whole, tmp_path / "other.zip", {"model.json": other}), device="cpu")


def _one_tensor_less(file: Path) -> dict[str, bytes]:
    from safetensors.torch import load, save

    name = "adapter/adapter_model.safetensors"
    with zipfile.ZipFile(file) as archive:
        tensors = load(archive.read(name))
    tensors.pop(sorted(tensors)[0])
    return {name: save(tensors)}


def test_save_refuses_what_it_would_ignore(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exclude and include are not supported"):
        make_agent().save(tmp_path / "agent", exclude=["policy"])
    assert list(tmp_path.iterdir()) == []


def test_env_of_another_shape_is_refused_on_load(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    make_agent().learn(8).save(tmp_path / "agent")
    with pytest.raises(ValueError, match="the environment has 50 actions and the agent 6"):
        EPG.load(tmp_path / "agent", gym.make_vec("cls_env/SplitGlyphs-v0", num_envs=8), device="cpu")


def test_env_of_another_image_size_is_refused_on_load(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    make_agent().learn(8).save(tmp_path / "agent")
    options = {"num_classes": 6, "train_per_class": 12, "test_per_class": 5, "hard_fraction": 0.0}
    arguments = {"num_tasks": 3, "seed": 1, "num_envs": 8}
    framed = gym.make_vec("cls_env/SplitGlyphs-v0", dataset_options=options, **arguments)
    with pytest.raises(
        ValueError, match=r"images of shape \(36, 36, 3\), and the agent learned on \(32, 32, 3\): .*margin"
    ):
        EPG.load(tmp_path / "agent", framed, device="cpu")
    bare = gym.make_vec("cls_env/SplitGlyphs-v0", dataset_options=options | {"margin": 0}, **arguments)
    assert EPG.load(tmp_path / "agent", bare, device="cpu").learn(8, reset_num_timesteps=False).num_timesteps == 16


def test_loaded_agent_takes_an_env_later(make_agent: Callable[..., EPG], make_vec: MakeVec, tmp_path: Path) -> None:
    make_agent().learn(8).save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", device="cpu")
    loaded.set_env(make_vec(4))
    assert loaded.learn(16).n_envs == 4
    with pytest.raises(ValueError, match="batch_size 8 is not a multiple of the 3"):
        loaded.set_env(make_vec(3))
    with pytest.raises(ValueError, match="needs an environment"):
        EPG("ViTPolicy", None)


def test_optimizer_is_saved_by_name(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    kwargs = {"optimizer_class": torch.optim.SGD, "optimizer_kwargs": {"momentum": 0.9}}
    make_agent(policy_kwargs=kwargs).learn(8).save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", device="cpu")
    assert isinstance(loaded.policy.optimizer, torch.optim.SGD)
    assert loaded.policy.optimizer.defaults["momentum"] == 0.9
    replaced = EPG.load(tmp_path / "agent", device="cpu", policy_kwargs={"optimizer_kwargs": {}})
    assert replaced.policy.optimizer.defaults["momentum"] == 0


class OwnOptimizer(torch.optim.SGD):
    pass


def test_optimizer_of_ones_own_must_be_passed_again(make_agent: Callable[..., EPG], tmp_path: Path) -> None:
    make_agent(policy_kwargs={"optimizer_class": OwnOptimizer}).learn(8).save(tmp_path / "agent")
    with pytest.raises(ValueError, match="optimizer of its own"):
        EPG.load(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", device="cpu", policy_kwargs={"optimizer_class": OwnOptimizer})
    assert isinstance(loaded.policy.optimizer, OwnOptimizer)


def test_an_optimizer_that_is_a_function_is_saved_without_a_name(make_vec: MakeVec, tmp_path: Path) -> None:
    """It failed after training, having no name."""
    optimizer = functools.partial(torch.optim.Adam, amsgrad=True)
    agent = EPG("ViTPolicy", make_vec(8), policy_kwargs={"optimizer_class": optimizer}, **ALIKE).learn(8)
    agent.save(tmp_path / "agent")
    with pytest.raises(ValueError, match="saved with an optimizer of its own"):
        EPG.load(tmp_path / "agent", device="cpu")
    EPG.load(tmp_path / "agent", device="cpu", policy_kwargs={"optimizer_class": optimizer})


def test_what_json_cannot_hold_is_named_at_save(make_vec: MakeVec, tmp_path: Path) -> None:
    agent = EPG("ViTPolicy", make_vec(8), **ALIKE)
    agent.freeze_fraction = np.float32(0.5)  # behind the constructor's back
    with pytest.raises(ValueError, match=r"freeze_fraction can't be saved: a value of type float32 is not JSON"):
        agent.save(tmp_path / "agent")
    with pytest.raises(ValueError, match=r"a\.b can't be saved: a value of type object is not JSON"):
        save_checkpoint(tmp_path / "agent", agent.policy, {"a": {"b": object()}})
    assert list(tmp_path.iterdir()) == []


class OwnPolicy(ViTPolicy):
    """A policy of one's own."""


def test_a_policy_of_ones_own_must_be_passed_again(make_vec: MakeVec, tmp_path: Path) -> None:
    """It was loaded as a ViTPolicy without a word."""
    EPG(OwnPolicy, make_vec(8), **ALIKE).learn(8).save(tmp_path / "agent")
    with pytest.raises(ValueError, match=r"saved with a policy of its own, OwnPolicy: pass it again"):
        EPG.load(tmp_path / "agent", device="cpu")
    assert isinstance(EPG.load(tmp_path / "agent", device="cpu", policy=OwnPolicy).policy, OwnPolicy)
    assert read_json(tmp_path / "agent.zip", "model.json")["policy_class"] == "OwnPolicy"


def test_an_agent_without_an_environment_says_so(make_vec: MakeVec, tmp_path: Path) -> None:
    EPG("ViTPolicy", make_vec(8), **ALIKE).save(tmp_path / "agent")
    with pytest.raises(ValueError, match=r"no environment to learn on: give it one by set_env\(env\)"):
        EPG.load(tmp_path / "agent", device="cpu").learn(8)


def test_arguments_of_load_are_known(make_vec: MakeVec, tmp_path: Path) -> None:
    EPG("ViTPolicy", make_vec(8), **ALIKE).learn(8).save(tmp_path / "agent")
    with pytest.raises(ValueError, match="unknown argument of EPG 'batchsize'; did you mean 'batch_size'"):
        EPG.load(tmp_path / "agent", batchsize=4)
    assert EPG.load(tmp_path / "agent", device="cpu", batch_size=np.int64(4)).batch_size == 4
    with pytest.raises(ValueError, match="load reads a file by its path"):
        EPG.load((tmp_path / "agent.zip").open("rb"))
    with pytest.raises(ValueError, match="match_classes must be True or False, not 'yes'"):
        EPG.load(tmp_path / "agent", make_vec(8), device="cpu", match_classes="yes")

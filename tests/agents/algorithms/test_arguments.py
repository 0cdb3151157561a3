"""NumPy's values are taken as Python's; a wrong type or range is one line that names the argument, before training."""

from __future__ import annotations

import json
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers.vector import TransformAction
from stable_baselines3.common.callbacks import CheckpointCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from agents import EPG, LinearBandit, PolicyConfig, Reinforce, ValueBandit, ViTFeatures, ViTPolicy
from agents.algorithms.agent_arguments import AgentArguments
from agents.optimization.learning_arguments import LearnerKwargs
from agents.sb3.policies import ViTActorCriticPolicy
from cls_env import TaskStream

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
SPACE = spaces.Box(0, 255, (32, 32, 3), np.uint8)
ALIKE = {"batch_size": 8, "device": "cpu"}

OF_ALL: list[dict[str, Any]] = [
    {"batch_size": np.int64(8)},
    {"freeze_fraction": np.float32(0.5)},
    {"learning_rate": np.float32(1e-3)},
    {"learning_rate": torch.tensor(1e-3)},
    {"seed": np.int64(3)},
    {"seed": np.uint32(2**32 - 1)},
    {"crop_scale": np.array([0.5, 1.0], np.float32)},
    {"crop_scale": (np.float32(0.5), 1)},
    {"cache_features": np.bool_(True)},
    {"precision": np.str_("float32")},
    {"stats_window_size": np.int32(10)},
    {"verbose": np.int64(0)},
    {"policy_kwargs": {"input_size": np.int64(32)}},
    {"policy_kwargs": {"crop_fraction": np.float32(0.875)}},
    {"policy_kwargs": {"pretrained": np.bool_(True)}},
    {"policy_kwargs": {"blocks": np.arange(2)}},
    {"policy_kwargs": {"blocks": (np.int8(1), 0)}},
    *({"policy_kwargs": {f"{part}_seed": np.uint32(1)}} for part in ("backbone", "peft", "head", "method")),
    {"policy_kwargs": {"optimizer_kwargs": {"weight_decay": np.float32(1e-4)}}},
    {"policy_kwargs": {"optimizer_kwargs": {"betas": (np.float32(0.9), np.float64(0.99))}}},
    {"policy_kwargs": {"optimizer_kwargs": {"betas": np.array([0.9, 0.99]), "amsgrad": np.bool_(True)}}},
]


@pytest.mark.slow
@pytest.mark.parametrize("given", OF_ALL, ids=str)
def test_numpy_values_are_learned_with_saved_and_loaded(
    given: dict[str, Any], make_vec: MakeVec, tmp_path: Path
) -> None:
    agent = EPG("ViTPolicy", make_vec(8), "ce", **(ALIKE | given))
    agent.learn(np.int64(8), log_interval=np.int64(1), reset_num_timesteps=np.bool_(True)).save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", make_vec(8), device="cpu")
    assert loaded.policy.config == agent.policy.config
    assert loaded.policy.optimizer.defaults == agent.policy.optimizer.defaults
    loaded.learn(8)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (LinearBandit, {"exploration": np.float32(0.3)}),
        (LinearBandit, {"ridge": np.float64(2)}),
        (LinearBandit, {"rule": np.str_("thompson"), "policy_kwargs": {"head_seed": np.int64(1)}}),
        (ValueBandit, {"exploration": np.str_("boltzmann")}),
        (Reinforce, {"baseline": np.str_("running-mean")}),
        (EPG, {"objective": np.str_("epg")}),
    ],
)
def test_arguments_of_one_algorithm(kind: Any, given: dict[str, Any], make_vec: MakeVec, tmp_path: Path) -> None:
    agent = kind("ViTPolicy", make_vec(8), **ALIKE, **given).learn(8)
    agent.save(tmp_path / "agent")
    loaded = kind.load(tmp_path / "agent", device="cpu")
    assert [getattr(loaded, name) for name in kind.own_arguments] == [
        getattr(agent, name) for name in kind.own_arguments
    ]


def test_a_checkpoint_in_the_middle_of_training(make_vec: MakeVec, tmp_path: Path) -> None:
    agent = EPG("ViTPolicy", make_vec(8), batch_size=np.int64(8), freeze_fraction=np.float32(0.25), device="cpu")
    agent.learn(32, callback=CheckpointCallback(2, str(tmp_path)))
    assert EPG.load(tmp_path / "rl_model_16_steps", device="cpu").freeze_fraction == 0.25


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch_size": "32"}, "batch_size must be a whole number of at least 1, not '32'"),
        ({"batch_size": 8.5}, "batch_size must be a whole number of at least 1, not 8.5"),
        ({"batch_size": True}, "batch_size must be a whole number of at least 1, not True"),
        ({"batch_size": np.array([8])}, "batch_size must be a whole number of at least 1, not array"),
        ({"freeze_fraction": "half"}, "freeze_fraction must be a number, not 'half'"),
        ({"freeze_fraction": np.nan}, r"freeze_fraction must be in \[0, 1\], not nan"),
        ({"learning_rate": "1e-3"}, "learning_rate must be a number, not '1e-3'"),
        ({"learning_rate": -1.0}, "learning_rate must be finite and at least 0, not -1.0"),
        ({"learning_rate": np.inf}, "learning_rate must be finite and at least 0, not inf"),
        ({"crop_scale": 0.5}, "crop_scale holds two numbers, not 0.5"),
        ({"crop_scale": (0.5, "1")}, "crop_scale must be a number, not '1'"),
        ({"cache_features": 1}, "cache_features must be True or False, not 1"),
        ({"precision": ["float32"]}, r"precision must be text, not \['float32'\]"),
        ({"seed": -1}, "seed must be a whole number of at least 0, not -1"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": 2**32}, r"seed must be below 2\*\*32, not 4294967296"),
        ({"stats_window_size": 0}, "stats_window_size must be a whole number of at least 1"),
        ({"verbose": "no"}, "verbose must be a whole number"),
        ({"tensorboard_log": 3}, "tensorboard_log must be the path of a folder, or None, not 3"),
        ({"policy_kwargs": ["lora"]}, "policy_kwargs is a dict of a policy's arguments by name"),
        ({"policy_kwargs": {"config": {}}}, "config must be a PolicyConfig"),
        ({"policy_kwargs": {"config": 3}}, "config must be a PolicyConfig, not 3"),
        ({"policy_kwargs": {"optimizer_class": "adam"}}, "optimizer_class must be a class such as torch.optim.Adam"),
        ({"policy_kwargs": {"optimizer_kwargs": 3}}, "optimizer_kwargs is a dict"),
        ({"policy_kwargs": {"optimizer_kwargs": {"weightdecay": 1}}}, "Adam does not take optimizer_kwargs"),
        ({"policy_kwargs": {"optimizer_kwargs": {"betas": 3}}}, "Adam does not take optimizer_kwargs"),
        (
            {"policy_kwargs": {"optimizer_kwargs": {"eps": 1 + 0j}}},
            r"optimizer_kwargs.eps can't be saved: a value of type complex is not JSON serializable: \(1\+0j\)",
        ),
        ({"objective": 3}, "objective must be text, not 3"),
        ({"objective": np.array(["ce", "epg"])}, "objective must be text"),
        ({"policy": 3}, "policy must be 'ViTPolicy' or a subclass of ViTPolicy, not 3"),
        ({"policy": ViTActorCriticPolicy}, "policy must be 'ViTPolicy' or a subclass of ViTPolicy"),
        ({"env": 3}, "env must be an environment of Gymnasium or a VecEnv"),
    ],
)
def test_wrong_arguments_are_named_before_training(given: dict[str, Any], message: str, make_vec: MakeVec) -> None:
    arguments = {"policy": "ViTPolicy", "env": make_vec(8), **ALIKE} | given
    with pytest.raises(ValueError, match=message) as error:
        EPG(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("model", 3, "model must be text, not 3"),
        ("pretrained", "no", "pretrained must be True or False, not 'no'"),
        ("pretrained", 0, "pretrained must be True or False, not 0"),
        ("weights", 3, "weights must be the path of a file, or None, not 3"),
        ("normalization", None, "normalization must be text, not None"),
        ("input_size", 0, "input_size must be a whole number of at least 1, not 0"),
        ("input_size", "32", "input_size must be a whole number of at least 1, not '32'"),
        ("input_size", 32.0, "input_size must be a whole number"),
        ("crop_fraction", 0, r"crop_fraction is a share of the side in \(0, 1\], not 0"),
        ("crop_fraction", 1.1, r"crop_fraction is a share of the side in \(0, 1\], not 1.1"),
        ("crop_fraction", "1", "crop_fraction must be a number"),
        ("interpolation", "nearest", "unknown interpolation 'nearest'"),
        ("peft", 3, "peft: expected text, 'name'.*, not 3"),
        ("method", None, "method: expected text, 'name'.*, not None"),
        ("blocks", (-1,), r"blocks are indices of transformer blocks, as in \(0, 1, 2\), not \(-1,\)"),
        ("blocks", (True,), "blocks are indices of transformer blocks"),
        ("blocks", np.array([0.5]), "blocks are indices of transformer blocks"),
        ("head_seed", -1, "head_seed must be a whole number of at least 0, not -1"),
        ("peft_seed", None, "peft_seed must be a whole number"),
        ("method_seed", 2**64, r"method_seed must be at most 2\*\*63 - 1"),
        ("backbone_seed", "0", "backbone_seed must be a whole number"),
    ],
)
def test_entries_of_a_policy(entry: str, value: Any, message: str, make_vec: MakeVec) -> None:
    makers: list[Callable[[], Any]] = [
        lambda: PolicyConfig(**{entry: value}),
        lambda: ViTPolicy(SPACE, spaces.Discrete(6), lambda _: 1e-3, **{entry: value}),
        lambda: EPG("ViTPolicy", make_vec(8), policy_kwargs={entry: value}, **ALIKE),
    ]
    if entry not in ("method", "method_seed", "head_seed"):
        makers.append(lambda: ViTFeatures(SPACE, **{entry: value}))
    for make in makers:
        with pytest.raises(ValueError, match=message) as error:
            make()
        assert "\n" not in str(error.value)


def test_a_config_is_plain_python() -> None:
    config = PolicyConfig(
        input_size=np.int64(32), crop_fraction=np.float32(0.5), pretrained=np.bool_(False), head_seed=np.uint32(3)
    )
    assert json.dumps(vars(config)) and [type(value) for value in (config.input_size, config.crop_fraction)] == [
        int,
        float,
    ]
    ViTFeatures(SPACE, peft_seed=np.uint32(1), blocks=np.arange(2), pretrained=np.bool_(True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"total_timesteps": "32"}, "total_timesteps must be a whole number of at least 1, not '32'"),
        ({"total_timesteps": 8.5}, "total_timesteps must be a whole number of at least 1, not 8.5"),
        ({"total_timesteps": True}, "total_timesteps must be a whole number"),
        ({"log_interval": 0}, "log_interval must be a whole number of at least 1, not 0"),
        ({"reset_num_timesteps": 0}, "reset_num_timesteps must be True or False, not 0"),
        ({"progress_bar": "yes"}, "progress_bar must be True or False"),
        ({"tb_log_name": 3}, "tb_log_name must be text, not 3"),
    ],
)
def test_arguments_of_learn(arguments: dict[str, Any], message: str, make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), **ALIKE)
    with pytest.raises(ValueError, match=message):
        agent.learn(**({"total_timesteps": 8} | arguments))
    assert agent.policy.network.tasks_begun == 0
    assert agent.learn(1e1).num_timesteps == 16  # as it is often written


@pytest.mark.parametrize("device", ["cuda", "cuda:0", torch.device("cuda")])
@pytest.mark.skipif(torch.cuda.is_available(), reason="tests the error that a machine without a GPU gives")
def test_a_gpu_that_is_not_there(device: Any, make_vec: MakeVec, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not there: PyTorch sees 0 CUDA devices; use device='auto' or 'cpu'"):
        EPG("ViTPolicy", make_vec(8), batch_size=8, device=device)
    agent = EPG("ViTPolicy", make_vec(8), batch_size=8, device="auto")
    agent.save(tmp_path / "agent")
    with pytest.raises(ValueError, match="is not there"):
        EPG.load(tmp_path / "agent", device=device)
    with pytest.raises(ValueError, match=r"device must be 'auto', 'cpu', 'cuda', 'mps' or .*, not 'gpu'"):
        EPG("ViTPolicy", make_vec(8), batch_size=8, device="gpu")


def test_stacked_frames_are_named(stream: TaskStream) -> None:
    env = VecFrameStack(DummyVecEnv([lambda: gym.make("cls_env/ClassIncremental-v0", dataset=stream)]), 2)
    with pytest.raises(
        ValueError,
        match=r"images must have 1 or 3 channels, not 6: remove wrappers that add channels, such as VecFrameStack",
    ):
        EPG("ViTPolicy", env, **ALIKE)
    for channels in (2, 4):
        with pytest.raises(ValueError, match=f"1 or 3 channels, not {channels}"):
            ViTFeatures(spaces.Box(0, 255, (32, 32, channels), np.uint8))
    assert ViTFeatures(spaces.Box(0, 255, (32, 32, 1), np.uint8))(torch.zeros(1, 32, 32, 1, dtype=torch.uint8)).shape


def test_actions_that_are_no_counted_classes(make_vec: MakeVec) -> None:
    shifted = TransformAction(
        make_vec(8),
        lambda actions: actions - 1,
        spaces.MultiDiscrete([6] * 8, start=[1] * 8),
        spaces.Discrete(6, start=1),
    )
    with pytest.raises(ValueError, match=r"the action space must be Discrete with start=0, not Discrete\(6, start=1\)"):
        EPG("ViTPolicy", shifted, **ALIKE)


def test_epg_describes_every_argument_with_its_default() -> None:
    parameters = {
        name: parameter.default
        for name, parameter in (signature(AgentArguments.__init__).parameters | signature(EPG).parameters).items()
        if parameter.default is not parameter.empty
    }
    assert set(parameters) == {*get_type_hints(LearnerKwargs), *EPG.own_arguments}
    text = EPG.__doc__ or ""
    for name, default in parameters.items():
        described = text.split(f" {name}: ")[1].split(". Default ")[1].split("\n")[0]
        value = described.split(":")[0].split(" (")[0].strip("`.").strip('"')
        assert value == str(default) or float(value) == default, name


def test_saved_arguments_are_arguments_of_the_constructor() -> None:
    assert set(EPG.saved_arguments) < set(get_type_hints(LearnerKwargs))

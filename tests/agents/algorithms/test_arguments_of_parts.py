"""Methods, views, explorations and policies take NumPy's values as Python's, and name what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO

from agents import GymnasiumVecEnv
from agents.algorithms.exploration import boltzmann, epsilon_greedy
from agents.methods import make_method
from agents.methods.coda_prompt import CODAPrompt
from agents.methods.derpp import DERpp
from agents.methods.dualprompt import DualPrompt
from agents.methods.inflora import InfLoRA
from agents.methods.l2p import L2P
from agents.methods.lae import LAE
from agents.methods.ncm import NCM
from agents.methods.ranpac import RanPAC
from agents.methods.replay import Replay
from agents.methods.sd_lora import SDLoRA
from agents.networks.head import GrowingHead
from agents.networks.views import CentralView, TrainView
from agents.objectives import OBJECTIVES, SampledPolicyGradient, make_objective
from agents.sb3.policies import ViTActorCriticPolicy, ViTQPolicy
from agents.sb3.task_by_task import TaskByTask

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]


METHODS: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (Replay, {"size": np.int64(5), "batch": np.int8(2), "local": np.bool_(False)}, {"local": 1}),
    (DERpp, {"size": np.int64(5), "alpha": np.float32(0.5), "beta": np.float64(1)}, {"alpha": "1"}),
    (LAE, {"decay": np.float32(0.5), "reference_batch": np.int64(8)}, {"reference_batch": 8.5}),
    (InfLoRA, {"threshold": np.float32(0.5), "energy": np.str_("moments")}, {"threshold": True}),
    (SDLoRA, {"restart": np.float32(0.75)}, {"restart": "0.8"}),
    (NCM, {"metric": np.str_("euclidean")}, {"metric": 3}),
    (RanPAC, {"projections": np.int64(10)}, {"projections": 10.0}),
    (
        L2P,
        {"pool": np.int64(4), "top": np.int64(2), "pull": np.float32(1), "batchwise": np.bool_(True)},
        {"batchwise": 1},
    ),
    (DualPrompt, {"general": np.int64(2), "initial": np.float32(0.5), "projected": np.bool_(True)}, {"transfer": "no"}),
    (CODAPrompt, {"components": np.int64(6), "orthogonality": np.float32(0.5)}, {"orthogonality": -1}),
]


@pytest.mark.parametrize(("kind", "given", "wrong"), METHODS, ids=lambda value: getattr(value, "__name__", ""))
def test_constructors_of_methods(kind: Any, given: dict[str, Any], wrong: dict[str, Any]) -> None:
    method = kind(**given)
    for name, value in given.items():
        kept = getattr(method, name, None)
        if kept is not None:
            assert kept == value and type(kept).__module__ == "builtins", name
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} "):
        kind(**wrong)


def test_views_and_explorations() -> None:
    images = torch.zeros(2, 3, 40, 30, dtype=torch.uint8)
    view = TrainView(np.int64(16), np.array([0.5, 1.0]), (np.float32(0.75), 1.25), np.float32(0.5))
    assert view(images, torch.Generator().manual_seed(0)).shape == (2, 3, 16, 16)
    assert CentralView(np.array([16, 8]), np.float32(0.875))(images).shape == (2, 3, 16, 8)
    values = torch.tensor([[0.2, 0.7]])
    assert torch.equal(epsilon_greedy(values, 0.5, np.float32(0.5)), epsilon_greedy(values, 0.5, 0.5))
    assert torch.equal(boltzmann(values, 0.5, np.float32(0.5)), boltzmann(values, 0.5, 0.5))
    for make, message in (
        (lambda: TrainView("16"), "size is the side of a view"),
        (lambda: TrainView(16.5), "size is the side of a view"),
        (lambda: TrainView((16, 16, 16)), "size is the side of a view"),
        (lambda: TrainView(16, scale=0.5), "scale holds two numbers"),
        (lambda: TrainView(16, flip=True), "flip must be a number"),
        (lambda: CentralView(16, "1"), "crop_fraction must be a number"),
        (lambda: epsilon_greedy(values, 0.5, "0.1"), "epsilon must be a number"),
        (lambda: boltzmann(values, 0.5, True), "temperature must be a number"),
        (lambda: SampledPolicyGradient(True), "samples must be a whole number"),
        (lambda: GrowingHead(4, 3, 0).grow([3]), r"actions must be in 0 \.\.\. 2, not 3"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    assert SampledPolicyGradient(np.int64(4)).samples == 4


def test_task_by_task_and_its_policies(make_vec: MakeVec, tmp_path: Path) -> None:
    env = GymnasiumVecEnv(make_vec(8))
    kwargs = {
        "head_seed": np.int64(1),
        "features_extractor_kwargs": {"peft_seed": np.uint32(1)},
        "net_arch": np.array([8]),
    }
    for model in (
        PPO(ViTActorCriticPolicy, env, n_steps=2, batch_size=8, policy_kwargs=kwargs, device="cpu"),
        DQN(ViTQPolicy, env, buffer_size=16, policy_kwargs=kwargs, device="cpu"),
    ):
        model.learn(16, callback=TaskByTask(np.float32(0.5)))
        model.save(tmp_path / "model")
    for arguments, message in (
        ({"head_seed": -1}, "head_seed must be a whole"),
        ({"head_seed": "0"}, "head_seed must"),
    ):
        with pytest.raises(ValueError, match=message):
            PPO(ViTActorCriticPolicy, env, policy_kwargs=arguments, device="cpu")
    with pytest.raises(ValueError, match=r"freeze_fraction must be a number, not '0.5'"):
        TaskByTask("0.5")


def test_definitions_of_ones_own_that_fail_are_named() -> None:
    def broken(logits: Any, action_rewards: Any, progress: float = 0.0) -> Any:
        return {}["missing"]

    OBJECTIVES["broken"] = broken
    try:
        with pytest.raises(ValueError, match="objective 'broken': 'missing'"):
            make_objective("broken")
    finally:
        OBJECTIVES.pop("broken")
    with pytest.raises(ValueError, match=r"size of method 'replay' must be a whole number"):
        make_method("replay:size=2.5")

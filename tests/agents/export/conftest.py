"""Small trained agents, and what their exports answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import timm
import torch
from PIL import Image

from agents import EPG
from agents.methods import NO_OBJECTIVE, make_method
from tests.agents.methods.conftest import learn
from tests.agents.policies import TINY

MakeVec = Callable[..., gym.vector.VectorEnv]


@pytest.fixture(scope="session")
def trained(make_vec: MakeVec) -> Callable[..., EPG]:
    """`trained(method, peft, **policy_kwargs)`: an agent that has learned two tasks of 8 images each."""

    def make(method: str = "sequential", peft: str | None = None, tasks: Sequence[int] = (0, 1), **policy: Any) -> EPG:
        objective = "ce" if make_method(method).learns_by_gradient else NO_OBJECTIVE
        kwargs = TINY | {"method": method, "blocks": (0, 1, 2)} | policy
        kwargs["peft"] = peft or make_method(method).peft_or_default("lora")
        agent = EPG(
            "ViTPolicy",
            make_vec(8),
            objective,
            3e-2,
            8,
            seed=0,
            device="cpu",
            freeze_fraction=0.0,
            policy_kwargs=kwargs,
        )
        return learn(agent, tasks, images=8)

    return make


@pytest.fixture(scope="session")
def images(make_vec: MakeVec) -> np.ndarray:
    """Eight images as the environment gives them."""
    return make_vec(8).reset(seed=3)[0]


def scores_of(agent: EPG, images: np.ndarray) -> torch.Tensor:
    """The agent's scores of the classes that it has seen, in the order of their actions."""
    with torch.no_grad():
        return agent.policy(torch.from_numpy(images))[:, sorted(agent.policy.seen_classes.tolist())]


def transformed(model: torch.nn.Module, images: np.ndarray) -> torch.Tensor:
    """Images through timm's own transform of a model."""
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))
    return torch.stack([transform(Image.fromarray(image)) for image in images])


def close(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    """Whether scores are the same up to rounding: 1e-5 of the largest."""
    return bool((found - wanted).abs().max() <= 1e-5 * wanted.abs().max())


def files_of(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}

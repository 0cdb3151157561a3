"""Load a saved agent of any algorithm of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from gymnasium.vector import VectorEnv
from stable_baselines3.common.type_aliases import GymEnv

from agents.algorithms.epg import EPG
from agents.algorithms.linear_bandit import LinearBandit
from agents.algorithms.one_step import OneStepAlgorithm
from agents.algorithms.reinforce import Reinforce
from agents.algorithms.value_bandit import ValueBandit
from agents.checkpoint.policy_file import read_agent
from cls_env.specification import lookup

ALGORITHMS: dict[str, type[OneStepAlgorithm]] = {
    kind.__name__: kind for kind in (EPG, Reinforce, ValueBandit, LinearBandit)
}
"""The algorithms whose agents `load_agent` reads, by the name in `model.json`."""


def load_agent(
    path: str | Path,
    env: GymEnv | VectorEnv[Any, Any, Any] | None = None,
    device: torch.device | str = "auto",
    **kwargs: Any,
) -> OneStepAlgorithm:
    """Load an agent without naming its class, which the file says.

    An agent of a subclass of your own is loaded with the `load` of that class.

    Args:
        path: The file, with or without `.zip`.
        env: To go on learning; predicting needs none.
        device: Where the policy runs.
        **kwargs: Further arguments of the class's `load`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, of an unknown algorithm, does not fit the environment, or belongs to other weights.
    """
    algorithm = lookup(f"algorithm of the agent in {path}", read_agent(path)["algorithm"], ALGORITHMS)
    return algorithm.load(path, env, device, **kwargs)
